/** How the report of a run looks, beside drawing.css: on paper, on a phone, and in the dark. */
export const PAGE_STYLE = `
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 3rem; max-width: 84rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 1.35rem; margin: 0 }
h2 { font-size: 1rem; margin: 0 }
p { margin: .15rem 0; color: var(--quiet) }
code { overflow-wrap: anywhere }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0 }
.tile { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem }
.tile b { display: block; font-size: 1.3rem; font-weight: 600 }
.tile span { color: var(--quiet); font-size: .85rem }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.6rem 2rem }
.chart { margin: 0; min-width: 0 }
.charts + section { margin-top: 1.6rem }
.keys { display: flex; flex-wrap: wrap; gap: .1rem .9rem; font-size: .85rem; margin: .3rem 0 .5rem }
.key i { display: inline-block; width: 1rem; border-top: 3px solid; vertical-align: middle; margin-right: .3rem }
.key i.dashed { border-top-style: dashed }
.frame { display: grid; grid-template: 11rem 1.3rem / 4.2rem 1fr }
.ys, .xs { position: relative; font-size: .75rem; color: var(--quiet) }
.ys span { position: absolute; right: .5rem; transform: translateY(50%); white-space: nowrap }
.xs { grid-column: 2 }
.xs span { position: absolute; top: .2rem; transform: translateX(-50%); white-space: nowrap }
.xs span:first-child { transform: none }
.area { position: relative; height: 100%; min-height: 0; touch-action: pan-y }
.cursor { position: absolute; top: 0; bottom: 0; border-left: 1px solid var(--quiet); display: none }
table { border-collapse: collapse; margin: .5rem 0 }
.wide { overflow-x: auto }
th, td { text-align: right; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); font-weight: 400 }
th:first-child, td:first-child { text-align: left }
th { color: var(--quiet) }
`
