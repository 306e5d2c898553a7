"""How the page looks."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --card: #ffffff; --ink: #1d2126; --faint: #666e78; --line: #dfe2e6;
  --reference: #b9c0c9; --current: #1f6feb; --none: #6b7480; --small: #8a6500; --moderate: #b34700; --large: #c01c28;
}
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --card: #1c2026; --ink: #e6e8eb; --faint: #9aa3ae;
  --line: #333a43; --reference: #4a535f; --current: #6cb0ff; --none: #98a1ac; --small: #e0b341; --moderate: #ff9a52;
  --large: #ff7b80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 32px 0 10px; }
h3 { font-size: 16px; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0; } .faint { color: var(--faint); font-weight: 400; fill: var(--faint); }
table { border-collapse: collapse; width: 100%; background: var(--card); font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
th, td { text-align: left; padding: 6px 10px; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; font-weight: 600; color: var(--faint); font-size: 13px; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.name { font-weight: 600; overflow-wrap: anywhere; min-width: 110px; }
a { color: inherit; text-underline-offset: 3px; }
.severity { white-space: nowrap; } .severity::before { content: "●"; margin-right: 6px; }
.none { color: var(--none); } .small { color: var(--small); } .moderate { color: var(--moderate); }
.large { color: var(--large); font-weight: 600; } .none::before { content: "○" !important; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 14px 16px;
margin: 12px 0; }
article header { display: flex; gap: 14px; align-items: baseline; flex-wrap: wrap; margin-bottom: 8px; }
.halves { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 20px; }
@media (max-width: 760px) { .halves { grid-template-columns: minmax(0, 1fr); } }
article table { font-size: 13px; } article th, article td { padding: 3px 6px; }
article tr:first-child > * { border-top: 0; }
ul { margin: 6px 0 10px; padding-left: 20px; } li { overflow-wrap: anywhere; }
.measures { font-size: 13px; color: var(--faint); } .measures span { margin-right: 14px; white-space: nowrap; }
.measures b { color: var(--ink); font-weight: 500; } td.measure { white-space: nowrap; }
td svg.effect { margin-top: 4px; } svg { display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg text.faint { fill: var(--faint); }
.chart { width: 100%; height: auto; } .reference { fill: var(--reference); } .current-bar { fill: var(--current); }
path.current { fill: none; stroke: var(--current); stroke-width: 2; } .axis { stroke: var(--line); }
.hover { fill: transparent; } .hover:hover { fill: var(--current); fill-opacity: .12; }
.effect .grade { stroke: var(--line); }
.effect .span { stroke: var(--current); stroke-width: 3; stroke-linecap: round; }
.effect .size, .effect .beyond { fill: var(--current); } .effect .size { stroke: var(--card); }
.key { display: inline-block; width: 12px; height: 12px; vertical-align: -1px; margin: 0 5px 0 12px; }
.key.r { background: var(--reference); } .key.c { background: var(--current); height: 3px; vertical-align: 4px; }
details > summary { cursor: pointer; margin: 16px 0; color: var(--faint); }
@media print { article { break-inside: avoid; } .hover { display: none; } }
"""
