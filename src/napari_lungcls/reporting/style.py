"""The look of a report's page, in light and in dark."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f6f8fa; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0;
  --accent: #0b57d0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --panel: #1c2128; --ink: #e6edf3; --soft: #9aa4af; --line: #343b44;
    --accent: #79b0ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 3rem; max-width: 68rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1.5rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 1rem; }
a { color: var(--accent); }
.soft, figcaption, footer { color: var(--soft); font-size: .875rem; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; }
dl.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem;
  margin: 0; padding: 1rem 1.25rem;
}
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; }
.tile { padding: .9rem 1.25rem; }
.tile b { display: block; font-size: 1.75rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 2rem;
  align-items: start; margin-top: 1.5rem; }
.columns.wide { grid-template-columns: minmax(0, 1fr); }
figure { margin: 0; }
figure svg { max-width: 100%; height: auto; display: block; }
figure.curves { overflow-x: auto; }
figure.curves svg { min-width: 40rem; }
figcaption { margin-top: .5rem; }
figcaption b { display: block; color: var(--ink); font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: .875rem; overflow-wrap: normal; }
.chip { display: inline-block; width: .8em; height: .8em; border-radius: .15em;
  margin-right: .5em; border: 1px solid var(--line); vertical-align: -.05em; }
.pictures { display: grid; gap: 1rem; }
.across2 { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.across3 { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.pictures img { display: block; width: 100%; height: auto; border: 1px solid var(--line);
  border-radius: .25rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1rem 0 0; padding: 0;
  list-style: none; }
table.spaced { margin-top: 1.5rem; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.card { padding: .6rem; }
.squares { display: flex; gap: .35rem; }
.squares img { display: block; width: 9.5rem; height: 9.5rem; border-radius: .2rem;
  image-rendering: pixelated; }
.said { display: grid; grid-template-columns: max-content 1fr max-content; gap: 0 .6rem;
  color: var(--ink); font-variant-numeric: tabular-nums; }
ul.notes { margin: 0; padding-left: 1.25rem; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
footer a { margin-right: 1rem; white-space: nowrap; }
@media (max-width: 44rem) {
  .columns, .pictures, dl.facts { grid-template-columns: minmax(0, 1fr); }
  dl.facts dd { margin-bottom: .5rem; }
}
"""
