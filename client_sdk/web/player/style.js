/** The look of the player, within its shadow. @module */

export const STYLE = `
:host { display: flex; flex-direction: column; position: relative; background: #101214; color: #eceff1; line-height: 1.3;
  font: 14px system-ui, sans-serif; border-radius: 8px; overflow: hidden; --accent: #4fc3f7; }
:host([hidden]), [hidden] { display: none !important; }
.frame { display: flex; flex-direction: column; flex: 1 1 auto; min-height: 0; }
.stage { position: relative; flex: 1 1 auto; min-height: 0; display: grid; place-items: center;
  background: #000; aspect-ratio: var(--shape, 1.778); container-type: size; }
/* As large as it fits: full screens and low windows have other shapes. */
.picture { grid-area: 1 / 1; position: relative; aspect-ratio: var(--shape, 1.778);
  width: min(100cqw, 100cqh * var(--shape, 1.778)); }
:host(:fullscreen) .stage { aspect-ratio: auto; }
video, canvas, .screen { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; display: block; }
.super .small, .frame:not(.super) .screen { visibility: hidden; }
.split { position: absolute; inset: 0; z-index: 1; width: 100%; height: 100%; margin: 0; opacity: 0;
  cursor: ew-resize; touch-action: pan-y; display: none; }
.line { position: absolute; inset-block: 0; left: var(--split, 50%); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 4px #000; pointer-events: none; display: none; }
.line::before, .line::after { position: absolute; bottom: 8px; padding: 2px 8px; border-radius: 4px;
  background: #000a; font-size: 12px; white-space: nowrap; }
.line::before { content: 'interpolation'; right: 8px; }
.line::after { content: 'super-resolved'; left: 10px; }
.compare :is(.split, .line) { display: block; }
.split:focus-visible ~ .line { outline: 2px solid var(--accent); }
.big { grid-area: 1 / 1; z-index: 2; width: 72px; height: 72px; border-radius: 50%; background: #000a; }
.big svg { width: 36px; height: 36px; }
.started .big { display: none; }
.notice { position: absolute; z-index: 2; top: 8px; left: 8px; right: 8px; padding: 6px 10px;
  border-radius: 4px; background: #000c; justify-self: start; pointer-events: none; }
.notice:empty { display: none; }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: 4px; padding: 4px 8px; }
.bar input { accent-color: var(--accent); min-width: 0; }
.seek { flex: 1 1 100%; height: 20px; margin: 0; }
.segments { flex: 1 1 100%; height: 4px; margin: 0 8px -4px; }
.volume { width: 90px; }
.space { flex: 1; }
button, select { color: inherit; background: none; border: 0; border-radius: 6px; padding: 0 8px;
  min-width: 40px; height: 40px; font: inherit; cursor: pointer; display: inline-grid;
  place-items: center; }
button:disabled { opacity: 0.4; cursor: default; }
button:hover, select:hover { background: #fff2; }
button[aria-pressed='true'] { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
select option { color: #000; }
svg { width: 22px; height: 22px; fill: currentColor; }
.time { font-variant-numeric: tabular-nums; padding: 0 4px; }
.figures { position: absolute; z-index: 2; right: 8px; top: 8px; margin: 0; padding: 8px 12px;
  border-radius: 6px; background: #000c; display: grid; grid-template-columns: auto auto; gap: 2px 12px;
  font-variant-numeric: tabular-nums; pointer-events: none; }
.figures dd { margin: 0; text-align: right; }
@media (max-width: 480px) { .volume { display: none; } .figures { font-size: 12px; } }
@media (prefers-reduced-motion: no-preference) { button { transition: background 0.15s; } }
`;
