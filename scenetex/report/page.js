// The parts of a scene's page: the viewer with its buttons, and the frames.

const data = JSON.parse(document.getElementById("data").textContent);
const part = (name) => document.getElementById(name);
// Within another page (scenetex app) there are no files beside it.
document.body.classList.toggle("framed", window !== window.parent);

async function openViewer() {
  const stage = part("stage"), says = part("says");
  let viewer;
  try {
    viewer = await startViewer(part("canvas"), data.model, data.cameras);
  } catch (error) {
    says.textContent = error.message;
    return null;
  }
  stage.classList.add("ready");
  const { shown, redraw } = viewer;
  const press = (name, on) => part(name).setAttribute("aria-pressed", on);
  const mode = (inside) => {
    press("outside", !inside);
    press("inside", inside);
  };
  const turning = (on) => press("turning", (shown.turning = on));
  const toggle = (name, act) => part(name).addEventListener("click", () => {
    const on = part(name).getAttribute("aria-pressed") !== "true";
    press(name, on);
    act(on);
    redraw();
  });
  viewer.lookFrom = (view, widest) => {
    viewer.from(view, widest);
    mode(true);
  };
  addControls(viewer, () => turning(false));
  part("outside").addEventListener("click", () => {
    viewer.overview();
    mode(false);
  });
  part("inside").addEventListener("click", () => viewer.lookFrom(data.inside, [0.75, 0.6]));
  toggle("turning", turning);
  toggle("walls", (on) => (shown.hideBacks = on));
  toggle("cameras", (on) => (shown.cameras = on));
  toggle("sources", (on) => {
    shown.bySource = on;
    part("legend").hidden = !on;
  });
  part("whole").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else stage.requestFullscreen();
  });
  part("whole").hidden = !document.fullscreenEnabled;
  part("canvas").addEventListener("webglcontextlost", () => {
    stage.classList.remove("ready");
    says.textContent = "The graphics device was lost; reload the page.";
  });
  turning(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  return viewer;
}

const opened = openViewer();

function choose(index) {
  const frame = data.frames[index];
  for (const name of ["image", "render", "depth"]) part(name).src = frame[name];
  part("frame").textContent = frame.id;
  part("strip").querySelectorAll("button").forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  part("from").onclick = async () => {
    const viewer = await opened;
    if (!viewer) return;
    viewer.lookFrom(frame.view);
    part("stage").scrollIntoView({ block: "center", behavior: "smooth" });
  };
}

data.frames.forEach((frame, index) => {
  const button = document.createElement("button"), image = document.createElement("img");
  image.src = frame.image;
  image.alt = `Frame ${frame.id}`;
  button.append(image);
  button.addEventListener("click", () => choose(index));
  part("strip").append(button);
});
choose(0);
