// Two pictures in one place, and a line between them that follows pointer and arrow keys.

function compare(figure) {
  const range = figure.querySelector("input");
  const place = () => figure.style.setProperty("--at", range.value + "%");
  const follow = (event) => {
    const { left, width } = figure.getBoundingClientRect();
    range.value = (100 * (event.clientX - left)) / width;
    place();
  };
  figure.addEventListener("pointerdown", (event) => {
    figure.setPointerCapture(event.pointerId);
    follow(event);
  });
  figure.addEventListener("pointermove", (event) => figure.hasPointerCapture(event.pointerId) && follow(event));
  figure.addEventListener("dragstart", (event) => event.preventDefault());
  range.addEventListener("input", place);
  place();
}

document.querySelectorAll(".compare").forEach(compare);
