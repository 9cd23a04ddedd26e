// What runs in the reader's browser: draws the charts from the page's JSON with uPlot, in the colours of the page, again when the
// width or the colour scheme changes. Plain JavaScript in a string, because it is compiled for no one: it goes into the page as it is.

export const clientCode = `
'use strict';
(() => {
  const charts = JSON.parse(document.getElementById('chart-data').textContent);
  const small = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 });
  const tick = (v) => v !== 0 && Math.abs(v) < 1e-3 ? Number(v.toPrecision(3)).toExponential() : small.format(v);
  const text = (v, unit) => v == null ? '–' : tick(v) + (unit ? ' ' + unit : '');
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const draw = (spec) => {
    const holder = document.getElementById('plot-' + spec.id);
    const outputs = [...holder.closest('figure').querySelectorAll('.legend output')];
    const buttons = [...holder.closest('figure').querySelectorAll('.legend button')];
    const axis = { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const listed = spec.series.map((s, k) => k).filter((k) => spec.series[k].of == null);
    const data = [spec.x], series = [{ label: 'step' }], bands = [], places = [];
    const stacked = spec.series.some((s) => s.shown);
    for (const s of spec.series) {
      const color = css('--c' + (s.color % 8));
      const index = data.length;
      places.push(index);
      data.push(s.values);
      const sparse = s.values.filter((v) => v != null).length < 25;
      series.push({
        label: s.label,
        stroke: s.kind === 'faint' ? color + '55' : s.kind === 'area' && !stacked ? 'transparent' : color,
        width: s.kind === 'line' ? 2 : 1,
        spanGaps: true,
        auto: !s.loose,
        dash: s.color >= 8 ? [7, 4] : undefined,
        points: { show: s.kind === 'points' || (s.kind === 'line' && sparse), size: 5, fill: color },
      });
      if (s.low) {
        data.push(s.low);
        series.push({ label: '', stroke: 'transparent', width: 0, spanGaps: true, auto: !s.loose, points: { show: false } });
        bands.push({ series: [index, index + 1], fill: color + (stacked ? 'cc' : '26') });
      }
    }
    const show = (i) => listed.forEach((k, button) => {
      const s = spec.series[k], values = s.shown || s.values;
      const at = i == null ? values.findLastIndex((v) => v != null) : i;
      const range = s.low && !s.shown && values[at] != null ? text(s.low[at]) + ' to ' : '';
      const around = spec.series.find((other) => other.of === k && other.low && other.low[at] != null);
      outputs[button].textContent = range + text(values[at], spec.unit) +
        (around ? ' (' + text(around.low[at]) + ' to ' + text(around.values[at]) + ')' : '');
    });
    const extent = (u, low, high) => {
      if (spec.range) return spec.range;
      if (low == null) return [0, 1];
      if (stacked) return [0, high * 1.05 || 1];
      const room = (high - low || Math.abs(high) || 1) * 0.08;
      return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
    };
    const height = () => Math.round(Math.max(160, Math.min(230, holder.clientWidth * 0.55)));
    const plot = new uPlot({
      width: holder.clientWidth,
      height: height(),
      legend: { show: false },
      padding: [8, 16, 0, 0],
      cursor: { sync: { key: spec.x.length + ':' + spec.x[0] + ':' + spec.x[spec.x.length - 1] }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: { range: extent } },
      axes: [
        { ...axis, size: 28, values: (u, ticks) => ticks.map((t) => Number.isInteger(t) ? small.format(t) : '') },
        { ...axis, size: (u, ticks) => 14 + 7 * Math.max(3, ...(ticks || []).map((t) => t.length)), values: (u, ticks) => ticks.map(tick) },
      ],
      series, bands,
      hooks: { setCursor: [(u) => show(u.cursor.idx)] },
    }, data, holder);
    const toggle = (k, on) => spec.series.forEach((s, j) => {
      if (j !== k && s.of !== k) return;
      plot.setSeries(places[j], { show: on });
      if (s.low) plot.setSeries(places[j] + 1, { show: on });
    });
    buttons.forEach((button, place) => {
      button.onclick = () => {
        const on = button.getAttribute('aria-pressed') !== 'true';
        button.setAttribute('aria-pressed', String(on));
        toggle(listed[place], on);
      };
      if (button.getAttribute('aria-pressed') === 'false') toggle(listed[place], false);
    });
    show(null);
    const resize = new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: height() }));
    resize.observe(holder);
    return () => { resize.disconnect(); plot.destroy(); };
  };

  let close = charts.map(draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    close.forEach((f) => f());
    close = charts.map(draw);
  });
})();
`
