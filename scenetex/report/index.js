// Finds and sorts the scenes of the index.

const tiles = document.getElementById("tiles"), filter = document.getElementById("filter"), sort = document.getElementById("sort");
const scenes = [...tiles.children], last = (value) => (Number.isNaN(value) ? Infinity : value);
const ORDERS = {
  name: () => 0,
  coverage: (a, b) => last(+a.dataset.coverage) - last(+b.dataset.coverage),
  seconds: (a, b) => last(-a.dataset.seconds) - last(-b.dataset.seconds),
};

function arrange() {
  const words = filter.value.toLowerCase().split(/\s+/);
  tiles.append(...[...scenes].sort(ORDERS[sort.value]));
  for (const scene of scenes) {
    const text = scene.textContent.toLowerCase();
    scene.hidden = !words.every((word) => text.includes(word));
  }
}

filter?.addEventListener("input", arrange);
sort?.addEventListener("change", arrange);
