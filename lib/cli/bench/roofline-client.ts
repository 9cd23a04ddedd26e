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
  const isPower = (t) => Math.abs(Math.log10(t) - Math.round(Math.log10(t))) < 1e-6;
  const roofs = Object.values(ceilings);
  const highest = Math.max(...roofs);
  const below = (v) => 10 ** Math.floor(Math.log10(v)); // uPlot counts its ticks from the lower end
  const lowX = below(Math.min(0.1, ...points.map((p) => p.intensity)));
  const highX = Math.max(10 * highest / bandwidth, ...points.map((p) => 2 * p.intensity));
  // corners of the roofs among the points, ascending
  const places = [
    { intensity: lowX }, ...points, ...roofs.map((r) => ({ intensity: r / bandwidth })), { intensity: highX },
  ].sort((a, b) => a.intensity - b.intensity);
  const x = places.map((p) => p.intensity);
  const of = (dtype) => places.map((p) => p.dtype === dtype ? p.rate : null);
  const roof = (peak) => x.map((i) => Math.min(peak, i * bandwidth));
  const rates = points.map((p) => p.rate);
  const lowY = below(Math.min(...rates, lowX * bandwidth));

  const draw = () => {
    const axis = { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const dots = (label, color) => ({ label, stroke: css(color), paths: () => null, points: { show: true, size: 8, fill: css(color) } });
    const line = (label, i) => ({ label, stroke: css('--muted'), width: 1.5, dash: i ? [6, 4] : [], points: { show: false } });
    const names = (u) => {
      const c = u.ctx;
      c.save();
      c.font = 11 * devicePixelRatio + 'px system-ui, sans-serif';
      c.fillStyle = css('--ink');
      c.textAlign = 'left';
      c.textBaseline = 'alphabetic';
      // beside, above or below its point, where no other name or point is; else hovering tells
      const scale = devicePixelRatio, high = 12 * scale;
      const taken = points.map((p) => {
        const [px, py] = [u.valToPos(p.intensity, 'x', true), u.valToPos(p.rate, 'y', true)];
        return [px - 4 * scale, py - 4 * scale, px + 4 * scale, py + 4 * scale];
      });
      const free = (r) => r[0] >= u.bbox.left && r[2] <= u.bbox.left + u.bbox.width
        && taken.every((o) => r[2] <= o[0] || r[0] >= o[2] || r[3] <= o[1] || r[1] >= o[3]);
      for (const p of points) {
        const [px, py] = [u.valToPos(p.intensity, 'x', true), u.valToPos(p.rate, 'y', true)];
        const wide = c.measureText(p.label).width, gap = 6 * scale;
        const places = [
          [px + gap, py - high / 2], [px - gap - wide, py - high / 2], [px - wide / 2, py - gap - high], [px - wide / 2, py + gap],
        ];
        const place = places.find(([l, t]) => free([l, t, l + wide, t + high]));
        if (!place) continue;
        taken.push([place[0], place[1], place[0] + wide, place[1] + high]);
        c.fillText(p.label, place[0], place[1] + high * 0.8);
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
        { ...axis, filter: (u, ticks) => ticks, size: 44, label: 'FLOP/byte', labelSize: 16, labelFont: '12px system-ui, sans-serif', values: (u, ticks) => ticks.map((t) => t != null && isPower(t) ? short.format(t) : '') },
        { ...axis, filter: (u, ticks) => ticks, size: 60, label: 'GFLOP/s', labelSize: 16, labelFont: '12px system-ui, sans-serif', values: (u, ticks) => ticks.map((t) => t != null && isPower(t) ? short.format(t) : '') },
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
