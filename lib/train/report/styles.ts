/** The style sheet of a report: one column on a phone, cards beside each other on a desk, light and dark. */
export const styleSheet = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16191d; --muted: #5c6470; --line: #dfe3e8; --grid: #eceff2;
  --good: #12714a; --good-back: #e2f4ea; --bad: #a62b2b; --bad-back: #fbe9e7; --accent: #1f5fbf; --code: #f1f3f5;
  --c0: #1f6fd1; --c1: #d9650d; --c2: #16855b; --c3: #8a4fc7; --c4: #c2255c; --c5: #8a6d00; --c6: #0b8090; --c7: #6b7280;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --card: #171b21; --ink: #e7eaee; --muted: #9aa4b1; --line: #2a313a; --grid: #232931;
    --good: #6fdca6; --good-back: #12332a; --bad: #ff9c92; --bad-back: #3a1d1d; --accent: #7fb2ff; --code: #1e242c;
    --c0: #6aa9ff; --c1: #ff9f4a; --c2: #4fd09a; --c3: #c39bff; --c4: #ff7fa8; --c5: #e3c04a; --c6: #52cfe0; --c7: #a3adba;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; overflow-wrap: break-word; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 40px 0 12px; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0; }
.quiet { color: var(--muted); font-size: .9rem; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px; margin: 0; min-width: 0; }
.grid { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr)); }
.tiles { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 170px), 1fr)); margin-top: 20px; }
.tile strong { display: block; font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
figure { display: flex; flex-direction: column; }
figcaption .quiet { min-height: 1.4em; }
.plot { width: 100%; margin-top: 8px; min-height: 160px; touch-action: pan-y; }
.u-select { background: var(--accent); opacity: .15; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 6px 0 0; padding: 0; font-size: .85rem; }
.legend button { all: unset; cursor: pointer; display: inline-flex; align-items: center; gap: 6px; min-height: 28px; }
.legend button:focus-visible { outline: 2px solid var(--accent); border-radius: 4px; }
.legend button[aria-pressed="false"] { opacity: .4; text-decoration: line-through; }
.legend i { width: 12px; height: 12px; border-radius: 3px; flex: none; }
.legend i.faint { opacity: .35; } .legend i.area { opacity: .45; } .legend i.stacked { opacity: .85; }
.legend output { font-variant-numeric: tabular-nums; color: var(--muted); }
.k0 { background: var(--c0); } .k1 { background: var(--c1); } .k2 { background: var(--c2); } .k3 { background: var(--c3); }
.k4 { background: var(--c4); } .k5 { background: var(--c5); } .k6 { background: var(--c6); } .k7 { background: var(--c7); }
details > summary { cursor: pointer; padding: 4px 0; }
figure details { margin-top: auto; padding-top: 8px; font-size: .85rem; color: var(--muted); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--muted); }
td.num, th.num { text-align: right; }
.intervals { display: grid; gap: 12px; }
.interval { display: grid; grid-template-columns: 130px 1fr 210px; gap: 14px; align-items: center; }
.track { position: relative; height: 26px; border-radius: 6px; background: var(--code); }
.track b { position: absolute; top: 0; bottom: 0; left: 0; border-radius: 6px; background: var(--c0); opacity: .28; }
.track u { position: absolute; top: 11px; height: 4px; border-radius: 2px; background: var(--c0); }
.track s { position: absolute; top: 5px; width: 4px; height: 16px; margin-left: -2px; border-radius: 2px; background: var(--c0); }
.interval data { font-variant-numeric: tabular-nums; white-space: nowrap; }
.interval data small { color: var(--muted); }
.mark { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: .82rem; font-weight: 600; white-space: nowrap; }
.mark.good { color: var(--good); background: var(--good-back); } .mark.bad { color: var(--bad); background: var(--bad-back); }
.answers { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); margin-top: 12px; }
.stack { display: grid; gap: 14px; }
.head { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: baseline; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--code); border-radius: 8px; padding: 10px 12px; margin: 8px 0 0; max-height: 22em; overflow-y: auto;
  font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre .think { color: var(--muted); } pre .call { color: var(--accent); }
.samples > details { border-top: 1px solid var(--line); padding: 6px 0; }
.samples > details > summary { font-weight: 600; }
nav { display: flex; flex-wrap: wrap; gap: 6px 18px; margin-top: 14px; }
h4 { font-size: .9rem; margin: 18px 0 4px; }
.lead { margin-bottom: 12px; } .below { margin-top: 14px; }
.legend i.dashed { background-image: repeating-linear-gradient(90deg, transparent 0 3px, var(--card) 3px 5px); }
.benchmark .intervals { margin: 14px 0; }
.benchmark .interval { grid-template-columns: minmax(100px, 220px) 1fr 250px; }
.stack > *, .answers > *, .grid > *, .tiles > *, .intervals > * { min-width: 0; }
h1, h2, h3, .quiet, .interval > span:first-child, th[scope="row"], .head strong, .legend button { overflow-wrap: anywhere; }
th[scope="row"] { color: var(--ink); min-width: 110px; max-width: 260px; }
tr.paper th, tr.paper td { color: var(--muted); font-weight: 400; }
tr.mean th, tr.mean td { font-weight: 600; }
td small, th small { color: var(--muted); font-weight: 400; white-space: nowrap; }
.problems { color: var(--bad); overflow-wrap: anywhere; font-size: .9rem; }
.controls { display: grid; gap: 10px 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 200px), 1fr)); }
.controls label, .search { display: grid; gap: 2px; font-size: .85rem; color: var(--muted); }
select, input[type="search"], #diff-more { font: inherit; color: var(--ink); background: var(--code); border: 1px solid var(--line); border-radius: 8px; padding: 6px 8px; width: 100%; min-width: 0; min-height: 38px; }
#diff-more { width: auto; cursor: pointer; margin-top: 12px; }
.diff-summary { display: grid; gap: 14px; grid-template-columns: minmax(min(100%, 240px), 320px) 1fr; align-items: center; margin: 16px 0; }
.diff-summary p { overflow-wrap: anywhere; }
fieldset { border: 0; margin: 0 0 12px; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 16px; }
fieldset legend { font-size: .85rem; color: var(--muted); padding: 0; }
fieldset label { display: inline-flex; gap: 6px; align-items: center; min-height: 32px; }
.question { border-top: 1px solid var(--line); padding: 6px 0; }
.question summary { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: baseline; overflow-wrap: anywhere; }
.question summary::before { content: '▸'; color: var(--muted); } .question[open] summary::before { content: '▾'; }
.question summary b { font-size: .92rem; } .question .line { flex-basis: 100%; }
.question pre { margin-top: 2px; }
footer { margin-top: 48px; color: var(--muted); font-size: .85rem; }
@media (max-width: 560px) {
  main { padding: 16px 12px 40px; }
  .tiles { grid-template-columns: 1fr 1fr; gap: 10px; }
  .tile strong { font-size: 1.3rem; }
  .tile:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .card { padding: 12px; }
  .interval, .benchmark .interval { grid-template-columns: 1fr auto; gap: 4px 10px; }
  .interval data { white-space: normal; text-align: right; }
  .diff-summary { grid-template-columns: 1fr; }
  .interval .track { grid-column: 1 / -1; grid-row: 2; }
}
@media print { .card { break-inside: avoid; } }
`
