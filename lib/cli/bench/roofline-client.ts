// What runs in the browser of who opens a roofline page: draws the points and roofs with uPlot on logarithmic axes, in the page's colours.
// Plain JavaScript in a string, as in lib/train/report/client.ts.

export const rooflineClient = `
'use strict';
(() => {
  const { bandwidth, ceilings, points } = JSON.parse(document.getElementById('chart-data').textContent);
  const holder = document.getElementById('roofline');
  const output = document.getElementById('point');
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });
  const roofs = Object.values(ceilings);
  const highest = Math.max(...roofs);
  const lowX = Math.min(0.05, ...points.map((p) => p.intensity / 2));
  const highX = Math.max(10 * highest / bandwidth, ...points.map((p) => 2 * p.intensity));
  // corners of the roofs among the points, ascending
  const places = [
    { intensity: lowX }, ...points, ...roofs.map((r) => ({ intensity: r / bandwidth })), { intensity: highX },
  ].sort((a, b) => a.intensity - b.intensity);
  const x = places.map((p) => p.intensity);
  const of = (dtype) => places.map((p) => p.dtype === dtype ? p.rate : null);
  const roof = (peak) => x.map((i) => Math.min(peak, i * bandwidth));
  const rates = points.map((p) => p.rate);
  const lowY = Math.min(...rates, lowX * bandwidth) / 2;

  const draw = () => {
    const axis = { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const dots = (label, color) => ({ label, stroke: css(color), paths: () => null, points: { show: true, size: 8, fill: css(color) } });
    const line = (label, i) => ({ label, stroke: css('--muted'), width: 1.5, dash: i ? [6, 4] : [], points: { show: false } });
    const names = (u) => {
      const c = u.ctx;
      c.save();
      c.font = 11 * devicePixelRatio + 'px system-ui, sans-serif';
      c.fillStyle = css('--ink');
      for (const p of points) {
        const at = u.valToPos(p.intensity, 'x', true);
        const right = at > u.bbox.left + 0.85 * u.bbox.width;
        c.textAlign = right ? 'right' : 'left';
        c.fillText(p.label, at + (right ? -7 : 7) * devicePixelRatio, u.valToPos(p.rate, 'y', true) + 4 * devicePixelRatio);
      }
      c.restore();
    };
    const show = (u) => {
      const { left, top } = u.cursor;
      let best = null, nearest = 30 * 30;
      for (const p of points) {
        const d = (u.valToPos(p.intensity, 'x') - left) ** 2 + (u.valToPos(p.rate, 'y') - top) ** 2;
        if (d < nearest) { nearest = d; best = p; }
      }
      output.textContent = best
        ? best.label + ' ' + best.dtype + ': ' + short.format(best.rate) + ' GFLOP/s at ' + best.intensity.toPrecision(3) + ' FLOP/byte; ' + best.note
        : '';
    };
    const height = () => Math.round(Math.max(320, Math.min(620, holder.clientWidth * 0.55)));
    const plot = new uPlot({
      width: holder.clientWidth,
      height: height(),
      legend: { show: false },
      padding: [12, 20, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, distr: 3, range: () => [lowX, highX] },
        y: { distr: 3, range: () => [lowY, highest * 2] },
      },
      axes: [
        { ...axis, size: 44, label: 'FLOP/byte', labelSize: 16, labelFont: '12px system-ui, sans-serif', values: (u, ticks) => ticks.map((t) => t == null || Math.log10(t) % 1 ? '' : short.format(t)) },
        { ...axis, size: 60, label: 'GFLOP/s', labelSize: 16, labelFont: '12px system-ui, sans-serif', values: (u, ticks) => ticks.map((t) => t == null || Math.log10(t) % 1 ? '' : short.format(t)) },
      ],
      series: [{}, ...Object.keys(ceilings).map(line), dots('f32', '--c0'), dots('bf16', '--c1')],
      hooks: { draw: [names], setCursor: [show] },
    }, [x, ...roofs.map(roof), of('f32'), of('bf16')], holder);
    const resize = new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: height() }));
    resize.observe(holder);
    return () => { resize.disconnect(); plot.destroy(); };
  };

  let close = draw();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { close(); close = draw(); });
})();
`
