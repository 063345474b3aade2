"""The report's style sheet: one column on a phone, light and dark as the reader's system is."""

CSS = """
:root { color-scheme: light dark; --ink: #1d2328; --soft: #5b656e; --ground: #ffffff; --card: #f4f6f7;
  --line: #dde2e6; --bar: #0072b2; --bar2: #e69f00; --best: #00795a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecef; --soft: #a3adb5; --ground: #14181b; --card: #1e2428;
  --line: #343c42; --bar: #56b4e9; --bar2: #e69f00; --best: #3ccf9e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 1.3rem; margin: 44px 0 8px; }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: 8px 0; max-width: 72ch; }
.soft { color: var(--soft); font-size: .92rem; }
a { color: var(--bar); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); background: var(--card); vertical-align: bottom; }
tr:last-child td { border-bottom: 0; }
th.name, td.name { text-align: left; position: sticky; left: 0; background: var(--ground); }
th.name { background: var(--card); }
td.name { white-space: normal; min-width: 128px; max-width: 230px; }
td.best { font-weight: 700; color: var(--best); }
tr.learned td.name::before, tr.classical td.name::before, .key i { content: ""; display: inline-block; width: 10px;
  height: 10px; border-radius: 2px; margin-right: 8px; background: var(--bar2); }
tr.learned td.name::before, .key i.learned { background: var(--bar); }
.key span { margin-right: 18px; white-space: nowrap; }
.bars { display: grid; grid-template-columns: minmax(0, 240px) minmax(50%, 1fr); gap: 6px 12px; align-items: center;
  font-size: .92rem; }
.bars .track { display: grid; grid-template-columns: 1fr 44px; gap: 8px; align-items: center; }
.bars b { display: block; height: 13px; border-radius: 3px; background: var(--bar2); min-width: 2px; }
.bars .learned b { background: var(--bar); }
.bars small { grid-column: 1 / -1; color: var(--soft); line-height: 1.2; margin-bottom: 4px; }
.bars small span { white-space: nowrap; }
.bars i { font-style: normal; text-align: right; font-variant-numeric: tabular-nums; }
section.method { border-top: 1px solid var(--line); margin-top: 28px; padding-top: 18px; }
section.method header { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline; }
.facts { margin: 8px 0; display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--soft); font-size: .92rem; }
.facts b { color: var(--ink); }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); gap: 14px;
  margin-top: 12px; align-items: start; }
figure { margin: 0; background: var(--card); border-radius: 8px; overflow: hidden; }
figure div { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding: 6px 10px; font-size: .86rem; color: var(--soft); overflow-wrap: anywhere; }
code { font: .88em ui-monospace, Consolas, monospace; overflow-wrap: anywhere; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--soft); font-size: .92rem; }
@media (max-width: 560px) { th, td { padding: 6px 5px; font-size: .84rem; } th { font-size: .76rem; }
  td.name { min-width: 104px; }
  .bars { line-height: 1.25; } }
ul { padding-left: 20px; max-width: 80ch; }
"""
