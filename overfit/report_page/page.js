// The slider moves the edge between bicubic and network; so does a pointer on the picture.
for (const figure of document.querySelectorAll(".compare")) {
  const slider = figure.querySelector("input");
  const picture = figure.querySelector("div");
  const cut = () => figure.style.setProperty("--cut", slider.value + "%");
  const follow = (event) => {
    if (!event.buttons) return;
    const box = picture.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    cut();
  };
  slider.addEventListener("input", cut);
  picture.addEventListener("pointerdown", follow);
  picture.addEventListener("pointermove", follow);
  picture.addEventListener("dragstart", (event) => event.preventDefault());
  cut();
}
