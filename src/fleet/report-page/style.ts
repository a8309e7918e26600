/** How pages with charts look: on paper, on a phone, and in the dark. Colours are told apart by those who see few of them (Okabe, Ito 2008). */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --ground: #fff; --text: #1c2024; --faint: #60646c; --line: #d9d9e0; --tile: #f5f5f8; --bad: #b3261e;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0569b; --c4: #b07c00; --c5: #3a9bd6; --c6: #6b6b76; --c7: #1c2024 }
@media (prefers-color-scheme: dark) { :root { --ground: #16181c; --text: #ecedf0; --faint: #a0a4ad; --line: #34373d; --tile: #202329; --bad: #ff8a80;
  --c0: #58b4ee; --c1: #ff9555; --c2: #3ccf9e; --c3: #e59cd2; --c4: #f0bd45; --c5: #9fd4f7; --c6: #a7a7b3; --c7: #ecedf0 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 3rem; max-width: 84rem; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 1.35rem; margin: 0 }
h2 { font-size: 1rem; margin: 0 }
p { margin: .15rem 0; color: var(--faint) }
code { overflow-wrap: anywhere }
.bad { color: var(--bad) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0 }
.tile { background: var(--tile); border-radius: .5rem; padding: .6rem .8rem }
.tile b { display: block; font-size: 1.3rem; font-weight: 600 }
.tile span { color: var(--faint); font-size: .85rem }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.6rem 2rem }
.chart { margin: 0; min-width: 0 }
.keys { display: flex; flex-wrap: wrap; gap: .1rem .9rem; font-size: .85rem; margin: .3rem 0 .5rem }
.key i { display: inline-block; width: 1rem; border-top: 3px solid; vertical-align: middle; margin-right: .3rem }
.key i.dashed { border-top-style: dashed }
.plot { display: grid; grid-template: 11rem 1.3rem / 4.2rem 1fr }
.ys, .xs { position: relative; font-size: .75rem; color: var(--faint) }
.ys span { position: absolute; right: .5rem; transform: translateY(50%); white-space: nowrap }
.xs { grid-column: 2 }
.xs span { position: absolute; top: .2rem; transform: translateX(-50%); white-space: nowrap }
.xs span:first-child { transform: none }
.area { position: relative; touch-action: pan-y }
.area svg { position: absolute; width: 100%; height: 100%; overflow: visible }
.area path { fill: none; stroke-width: 2px; vector-effect: non-scaling-stroke; stroke-linejoin: round }
.area path.dashed { stroke-dasharray: 6 5 }
.grid line { stroke: var(--line); stroke-width: 1px; vector-effect: non-scaling-stroke }
.cursor { position: absolute; top: 0; bottom: 0; border-left: 1px solid var(--faint); display: none }
table { border-collapse: collapse; margin: .5rem 0 }
.wide { overflow-x: auto }
th, td { text-align: right; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); font-weight: 400 }
th:first-child, td:first-child { text-align: left }
th { color: var(--faint) }
`
