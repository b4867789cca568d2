/**
 * The controls under the picture: markup, and the two ways between it and the player.
 *
 * @module
 */

import { screenElement } from './screen.js';
import { STYLE } from './style.js';

const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const ICONS = {
  play: icon('M7 4v16l13-8z'),
  pause: icon('M6 4h4v16H6zM14 4h4v16h-4z'),
  sound: icon('M4 9v6h4l5 5V4L8 9zM16 8a5 5 0 0 1 0 8z'),
  mute: icon('M4 9v6h4l5 5V4L8 9zM15 9.4l1.4-1.4 5.6 5.6-1.4 1.4zM20.6 8l1.4 1.4-5.6 5.6-1.4-1.4z'),
  compare: icon('M11 3h2v18h-2zM3 6h6v12H3zM15 6h6v12h-6zM17 8v8h2V8z'),
  figures: icon('M4 20V10h4v10zM10 20V4h4v16zM16 20v-7h4v7z'),
  full: icon('M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z'),
};
const AUTO = 'auto';
const STEP = 5; // seconds that an arrow key goes

const MARKUP = `<style>${STYLE}</style>
<div class="frame" role="group" aria-label="Video player">
  <div class="stage">
    <div class="picture">
    <video class="small" playsinline aria-hidden="true" tabindex="-1"></video>
    <div class="screen" role="img" aria-label="Video"></div>
    <input class="split" type="range" min="0" max="100" step="0.5" value="50"
      aria-label="Before and after: part of the picture that is interpolated">
    <div class="line" aria-hidden="true"></div>
    </div>
    <button class="big" type="button" aria-label="Play">${ICONS.play}</button>
    <div class="notice" role="status"></div>
    <dl class="figures" aria-label="Live figures" hidden></dl>
  </div>
  <div class="bar" role="group" aria-label="Controls">
    <div class="segments" aria-hidden="true"></div>
    <input class="seek" type="range" min="0" max="0" step="any" value="0" aria-label="Position">
    <button class="play" type="button" aria-label="Play" aria-keyshortcuts="k">${ICONS.play}</button>
    <span class="time">0:00 / 0:00</span>
    <span class="space"></span>
    <select class="rung" aria-label="Quality" hidden></select>
    <button class="compare" type="button" aria-pressed="false" aria-keyshortcuts="c"
      aria-label="Compare with interpolation" title="Compare with interpolation (c)">${ICONS.compare}</button>
    <button class="panel" type="button" aria-pressed="false" aria-keyshortcuts="i"
      aria-label="Live figures" title="Live figures (i)">${ICONS.figures}</button>
    <button class="mute" type="button" aria-pressed="false" aria-keyshortcuts="m"
      aria-label="Mute" title="Mute (m)">${ICONS.sound}</button>
    <input class="volume" type="range" min="0" max="1" step="0.05" value="1" aria-label="Volume">
    <button class="full" type="button" aria-keyshortcuts="f" aria-label="Full screen"
      title="Full screen (f)">${ICONS.full}</button>
  </div>
</div>`;

/** "1:02" of 62.4 seconds. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

const spoken = (seconds) => {
  const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds % 60)];
  return minutes ? `${minutes} minutes ${rest} seconds` : `${rest} seconds`;
};

/** The markup in the player's shadow; calls the player's own methods and shows its state. */
export class Controls {
  #player;
  #root;
  #dragging = false;

  /** @param {any} player the element @param {ShadowRoot} root */
  constructor(player, root) {
    this.#player = player;
    this.#root = root;
    root.innerHTML = MARKUP;
    this.video = /** @type {HTMLVideoElement} */ (this.#find('.small'));
    for (const name of ['play', 'big']) this.#on(name, 'click', () => player.toggle());
    this.#on('mute', 'click', () => (player.muted = !player.muted));
    this.#on('compare', 'click', () => (player.comparing = !player.comparing));
    this.#on('panel', 'click', () => this.#togglePanel());
    this.#on('full', 'click', () => this.#toggleFull());
    this.#on('volume', 'input', ({ target }) => this.#volume(Number(target.value)));
    this.#on('split', 'input', ({ target }) => (player.split = Number(target.value) / 100));
    this.#on('rung', 'change', ({ target }) =>
      player.chooseRung(target.value === AUTO ? null : Number(target.value)),
    );
    this.#on('seek', 'input', ({ target }) => {
      this.#dragging = true; // it follows the thumb, not the play
      this.#time(Number(target.value), player.duration);
    });
    this.#on('seek', 'change', ({ target }) => {
      this.#dragging = false;
      player.currentTime = Number(target.value);
    });
    player.addEventListener('keydown', (event) => this.#key(event));
    this.video.addEventListener('volumechange', () => this.update());
  }

  /** A screen for another play. */
  freshScreen() {
    const screen = screenElement();
    this.#find('.screen').replaceChildren(screen);
    return screen;
  }

  /** For the style: started, super, compare. @param {string} name @param {boolean} on */
  mark(name, on) {
    this.#find('.frame').classList.toggle(name, on);
  }

  /** @param {string} sentence */
  notice(sentence) {
    const place = this.#find('.notice');
    if (place.textContent !== sentence) place.textContent = sentence;
  }

  /** What a manifest says: the length, where segments begin, the rungs, the shape. */
  describe({ name, width, height, seconds, frames, segments, rungs }, rung, adaptive) {
    this.#find('.frame').style.setProperty('--shape', String(width / height));
    this.#find('.screen').setAttribute('aria-label', `Video: ${name}`);
    const seek = this.#input('seek');
    seek.max = String(seconds);
    const ticks = segments.slice(1, 200).map(({ start }) => {
      const at = `${(100 * start) / frames}%`;
      return `linear-gradient(#fff8, #fff8) ${at} 50% / 1px 100% no-repeat`;
    });
    this.#find('.segments').style.background = ticks.join(',');
    const menu = /** @type {HTMLSelectElement} */ (this.#find('.rung'));
    // Only what was agreed on can be sent: the codec of the rung that plays.
    const choices = rungs
      .map((at, index) => ({ ...at, index }))
      .filter(({ codec }) => codec === rungs[rung].codec);
    menu.replaceChildren(
      ...(adaptive ? [new Option('Auto', AUTO)] : []),
      ...choices.map((at) => new Option(`${at.name} (${at.width}×${at.height})`, String(at.index))),
    );
    menu.value = adaptive ? AUTO : String(rung);
    menu.hidden = choices.length < 2;
  }

  /** Shows how the player stands. */
  update() {
    const { paused, muted, comparing, currentTime, duration, canCompare } = this.#player;
    const { live } = this.#player;
    this.#input('seek').disabled = live;
    const play = this.#find('.play');
    this.#say(play, paused ? 'Play' : 'Pause', paused ? ICONS.play : ICONS.pause);
    play.title = paused ? 'Play (k)' : 'Pause (k)';
    this.#say(this.#find('.mute'), 'Mute', muted ? ICONS.mute : ICONS.sound);
    this.#find('.mute').setAttribute('aria-pressed', String(muted));
    this.#input('volume').value = String(muted ? 0 : this.video.volume);
    this.#find('.compare').setAttribute('aria-pressed', String(comparing));
    /** @type {HTMLButtonElement} */ (this.#find('.compare')).disabled = !canCompare;
    this.mark('compare', comparing);
    const percent = Math.round(this.#player.split * 1000) / 10;
    this.#find('.frame').style.setProperty('--split', `${percent}%`);
    const split = this.#input('split');
    split.value = String(percent);
    split.setAttribute('aria-valuetext', `${Math.round(percent)} percent interpolated`);
    if (!this.#dragging) {
      this.#input('seek').value = String(currentTime);
      this.#time(currentTime, duration);
    }
  }

  /** @param {[string, string][]} rows of the panel */
  figures(rows) {
    const panel = this.#find('.figures');
    if (panel.hidden) return;
    const cells = rows.flatMap(([term, value]) => {
      const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
      [dt.textContent, dd.textContent] = [term, value];
      return [dt, dd];
    });
    panel.replaceChildren(...cells);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [inside] = event.composedPath();
    const range = inside instanceof HTMLInputElement || inside instanceof HTMLSelectElement;
    const player = this.#player;
    const keys = {
      k: () => player.toggle(),
      m: () => (player.muted = !player.muted),
      c: () => (player.comparing = !player.comparing),
      i: () => this.#togglePanel(),
      f: () => this.#toggleFull(),
      // What has its own use for these keeps it.
      ...(range || inside instanceof HTMLButtonElement ? {} : { ' ': () => player.toggle() }),
      ...(range
        ? {}
        : {
            ArrowLeft: () => (player.currentTime -= STEP),
            ArrowRight: () => (player.currentTime += STEP),
          }),
    };
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (!act) return;
    event.preventDefault();
    act();
  }

  #volume(value) {
    this.video.volume = value;
    this.#player.muted = value === 0;
  }

  #togglePanel() {
    const panel = this.#find('.figures');
    panel.hidden = !panel.hidden;
    this.#find('.panel').setAttribute('aria-pressed', String(!panel.hidden));
    this.#player.refresh();
  }

  #toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.#player.requestFullscreen().catch(() => this.notice('Full screen is not allowed here.'));
  }

  #time(seconds, duration) {
    this.#find('.time').textContent = this.#player.live ? 'Live' : `${clock(seconds)} / ${clock(duration)}`;
    this.#input('seek').setAttribute('aria-valuetext', `${spoken(seconds)} of ${spoken(duration)}`);
  }

  #say(button, label, markup) {
    if (button.getAttribute('aria-label') === label && button.dataset.shown === markup) return;
    button.setAttribute('aria-label', label);
    button.innerHTML = markup;
    button.dataset.shown = markup;
  }

  #on(name, event, listener) {
    this.#find(`.${name}`).addEventListener(event, listener);
  }

  /** @returns {HTMLElement} */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }

  #input(name) {
    return /** @type {HTMLInputElement} */ (this.#find(`.${name}`));
  }
}
