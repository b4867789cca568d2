// Uses a report as a viewer does, on a page as wide as a phone, and tells what it shows.
export async function run({ address, width }) {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px";
  frame.srcdoc = await (await fetch(address)).text();
  const loaded = new Promise((done) => frame.addEventListener("load", done));
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument;
  const style = (element) => frame.contentWindow.getComputedStyle(element);

  const maps = page.querySelector(".maps");
  const shown = {};
  for (const choice of maps.querySelectorAll("input")) {
    choice.click();
    const layers = [...maps.querySelectorAll("g")].filter((g) => style(g).display !== "none");
    const notes = [...maps.querySelectorAll("figcaption div")].filter((n) => style(n).display !== "none");
    shown[choice.value] = [layers, notes].map((found) => found.map((e) => e.getAttribute("class")));
  }

  const slider = page.querySelector(".compare input");
  const before = page.querySelector(".compare .before");
  const cuts = {};
  for (const value of ["0", "25", "100"]) {
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
    cuts[value] = style(before).clipPath;
  }
  const box = page.querySelector(".compare div").getBoundingClientRect();
  const at = { clientX: box.left + box.width / 4, buttons: 1, bubbles: true };
  before.dispatchEvent(new frame.contentWindow.PointerEvent("pointermove", at));
  cuts.pointer = slider.value;

  const reached = [...page.querySelectorAll("input,[tabindex]")].every((element) => {
    element.focus();
    return page.activeElement === element;
  });
  const broken = [...page.images].filter((image) => !image.naturalWidth).length;
  return { shown, cuts, reached, broken, overflow: page.documentElement.scrollWidth - width };
}
