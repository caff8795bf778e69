// Shows what model.py packed: triangles with their texture colours as they are, in WebGL 2. z is up, units are metres.
// Either from outside, turning around a point, or from a place inside, looking around.

const DEGREE = Math.PI / 180;
const TURNING = 7 * DEGREE; // per second
const CAMERA_COLOR = [1, 0.62, 0.2, 1], CHOSEN_COLOR = [1, 1, 1, 1];

const add = (a, b, s = 1) => a.map((x, i) => x + s * b[i]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

async function unpack(model) {
  const packed = Uint8Array.from(atob(model.arrays), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let at = 0;
  const column = (count) => {
    const out = new Int32Array(count);
    for (let i = 0, last = 0; i < count; i++) {
      const j = at + i;
      const zigzag = bytes[j] | (bytes[j + count] << 8) | (bytes[j + 2 * count] << 16) | (bytes[j + 3 * count] << 24);
      last += (zigzag >>> 1) ^ -(zigzag & 1);
      out[i] = last;
    }
    at += 4 * count;
    return out;
  };
  const n = model.vertices, vertices = new Float32Array(5 * n);
  for (let k = 0; k < 5; k++) {
    const values = column(n), unit = k < 3 ? model.step : 1 / model.uv_steps;
    for (let i = 0; i < n; i++) vertices[5 * i + k] = values[i] * unit;
  }
  return { vertices, corners: new Uint32Array(column(3 * model.pages.reduce((a, b) => a + b, 0)).buffer) };
}

function makeProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, "#version 300 es\nprecision highp float;\n" + source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

async function makeTexture(gl, source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const texture = gl.createTexture(), finer = gl.getExtension("EXT_texture_filter_anisotropic");
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  if (finer) gl.texParameterf(gl.TEXTURE_2D, finer.TEXTURE_MAX_ANISOTROPY_EXT, 8);
  return texture;
}

// A function that draws the model; `lines` are end points, three numbers each.
async function makeScene(gl, model, lines) {
  const { vertices, corners } = await unpack(model);
  const textures = [], sources = []; // the same pages in their colours, and in those of where these come from
  for (const page of model.textures) textures.push(await makeTexture(gl, page));
  for (const page of model.sources) sources.push(await makeTexture(gl, page));
  const surface = makeProgram(
    gl,
    "layout(location=0) in vec3 at; layout(location=1) in vec2 uv; uniform mat4 view; out vec2 place;" +
      "void main() { place = uv; gl_Position = view * vec4(at, 1.0); }",
    "in vec2 place; uniform sampler2D page; out vec4 color;" +
      "void main() { color = vec4(texture(page, place).rgb, 1.0); }",
  );
  const wire = makeProgram(
    gl,
    "layout(location=0) in vec3 at; uniform mat4 view; void main() { gl_Position = view * vec4(at, 1.0); }",
    "uniform vec4 ink; out vec4 color; void main() { color = ink; }",
  );
  const buffer = (target, data) => {
    gl.bindBuffer(target, gl.createBuffer());
    gl.bufferData(target, data, gl.STATIC_DRAW);
  };
  const arrays = [gl.createVertexArray(), gl.createVertexArray()];
  gl.bindVertexArray(arrays[0]);
  buffer(gl.ARRAY_BUFFER, vertices);
  buffer(gl.ELEMENT_ARRAY_BUFFER, corners);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 20, 0);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 2, gl.FLOAT, false, 20, 12);
  gl.bindVertexArray(arrays[1]);
  buffer(gl.ARRAY_BUFFER, new Float32Array(lines));
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 12, 0);
  gl.enable(gl.DEPTH_TEST);

  return (matrix, { hideBacks, bySource }, cameras) => {
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    (hideBacks ? gl.enable : gl.disable).call(gl, gl.CULL_FACE);
    gl.useProgram(surface);
    gl.uniformMatrix4fv(gl.getUniformLocation(surface, "view"), false, matrix);
    gl.bindVertexArray(arrays[0]);
    model.pages.reduce((start, faces, page) => {
      gl.bindTexture(gl.TEXTURE_2D, (bySource ? sources : textures)[page]);
      gl.drawElements(gl.TRIANGLES, 3 * faces, gl.UNSIGNED_INT, 12 * start);
      return start + faces;
    }, 0);
    gl.useProgram(wire);
    gl.uniformMatrix4fv(gl.getUniformLocation(wire, "view"), false, matrix);
    gl.bindVertexArray(arrays[1]);
    for (const { first, count, color } of cameras) {
      gl.uniform4fv(gl.getUniformLocation(wire, "ink"), color);
      gl.drawArrays(gl.LINES, first, count);
    }
  };
}

// End points of a camera's frustum: four edges from its centre, and the frame at their ends.
function frustum({ pose, slopes }, length) {
  const centre = [pose[3], pose[7], pose[11]];
  const turn = (v) => [0, 1, 2].map((i) => pose[4 * i] * v[0] + pose[4 * i + 1] * v[1] + pose[4 * i + 2] * v[2]);
  const ends = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) =>
    add(centre, turn([x * slopes[0], y * slopes[1], 1]), length),
  );
  return ends.flatMap((end, i) => [...centre, ...end, ...end, ...ends[(i + 1) % 4]]);
}

const FRUSTUM = 16; // end points

// The viewer: `look` says where from, `draw` shows it.
async function startViewer(canvas, model, cameras) {
  const gl = canvas.getContext("webgl2", { antialias: true });
  if (!gl) throw new Error("This browser has no WebGL 2, which the model needs.");
  const radius = Math.hypot(...model.reach);
  const lines = cameras.flatMap((camera) => frustum(camera, clamp(0.035 * radius, 0.06 * model.metre, 0.3 * model.metre)));
  const paint = await makeScene(gl, model, lines);
  // yaw and pitch of the line of sight, and roll about it; slopes of the edges of what has to be in the picture.
  const look = { inside: false, yaw: 0, pitch: 0, roll: 0, target: [0, 0, 0], distance: 1, eye: [0, 0, 0] };
  const shown = { hideBacks: true, bySource: false, cameras: false, chosen: -1, turning: false };
  let asked = false;

  const axes = () => {
    const [sy, cy, sp, cp] = [Math.sin(look.yaw), Math.cos(look.yaw), Math.sin(look.pitch), Math.cos(look.pitch)];
    const forward = [cp * cy, cp * sy, sp], level = [sy, -cy, 0], upright = cross(level, forward);
    const [sr, cr] = [Math.sin(look.roll), Math.cos(look.roll)];
    return {
      forward,
      right: level.map((x, i) => cr * x + sr * upright[i]),
      up: upright.map((x, i) => cr * x - sr * level[i]),
    };
  };
  const eye = () => (look.inside ? look.eye : add(look.target, axes().forward, -look.distance));
  const slopes = () => {
    const aspect = canvas.clientWidth / canvas.clientHeight;
    const y = Math.max(look.slopes[1], look.slopes[0] / aspect);
    return [y * aspect, y];
  };
  const matrix = () => {
    const { forward, right, up } = axes(), from = eye(), [x, y] = slopes();
    const near = look.inside ? 0.03 * model.metre : Math.max(0.03 * model.metre, (look.distance - 1.5 * radius) / 2), far = near + 8 * radius + 2 * look.distance;
    const rows = [right.map((v) => v / x), up.map((v) => v / y), forward.map((v) => (v * (far + near)) / (far - near)), forward];
    const shift = rows.map((row) => -dot(row, from));
    shift[2] -= (2 * far * near) / (far - near);
    return [0, 1, 2].flatMap((i) => rows.map((row) => row[i])).concat(shift);
  };
  const draw = () => {
    asked = false;
    const density = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(1, Math.round(side * density)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const wires = [];
    if (shown.cameras) {
      wires.push({ first: 0, count: FRUSTUM * cameras.length, color: CAMERA_COLOR });
      if (shown.chosen >= 0) wires.push({ first: FRUSTUM * shown.chosen, count: FRUSTUM, color: CHOSEN_COLOR });
    }
    paint(matrix(), shown, wires);
  };
  const redraw = () => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };

  const viewer = {
    metre: model.metre, // what a visitor takes for one
    canvas, look, shown, axes, eye, slopes, redraw,
    // From above and outside, everything in the picture from whatever side.
    overview() {
      Object.assign(look, { inside: false, yaw: model.heading, pitch: -48 * DEGREE, roll: 0, slopes: [0.35, 0.35] });
      // What is seen are the floor and the walls behind it: their middle lies a bit lower than the box's.
      look.target = [0, 0, -0.2 * model.reach[2]];
      const edges = slopes(), signs = [-1, 1];
      look.distance = 0;
      for (let turn = 0; turn < 24; turn++, look.yaw += 15 * DEGREE) {
        const { forward, right, up } = axes();
        for (const x of signs) for (const y of signs) for (const z of signs) {
          const corner = add(model.reach.map((side, i) => side * [x, y, z][i]), look.target, -1);
          const need = Math.max(Math.abs(dot(corner, right)) / edges[0], Math.abs(dot(corner, up)) / edges[1]);
          look.distance = Math.max(look.distance, 1.03 * (need - dot(corner, forward)));
        }
      }
      look.yaw = model.heading;
      redraw();
    },
    // From where a camera was; at least as wide as `widest`, slopes.
    from(index, widest = [0, 0]) {
      const { pose, slopes } = cameras[index];
      const forward = [pose[2], pose[6], pose[10]], right = [pose[0], pose[4], pose[8]];
      const yaw = Math.atan2(forward[1], forward[0]), level = [Math.sin(yaw), -Math.cos(yaw), 0];
      const roll = Math.atan2(dot(right, cross(level, forward)), dot(right, level));
      Object.assign(look, {
        inside: true, yaw, pitch: Math.asin(clamp(forward[2], -1, 1)), roll,
        eye: [pose[3], pose[7], pose[11]], slopes: slopes.map((slope, i) => Math.max(slope, widest[i])),
      });
      shown.chosen = index;
      redraw();
    },
    // Sideways, up and forward, in the model's unit.
    move(x, y, z) {
      const { right, up, forward } = axes(), way = add(add(right.map((v) => v * x), up, y), forward, z);
      if (look.inside) look.eye = add(look.eye, way);
      else look.target = add(look.target, way);
      redraw();
    },
    zoom(factor) {
      if (look.inside) viewer.move(0, 0, -Math.log(factor) * 1.5 * model.metre);
      else look.distance = clamp(look.distance * factor, 0.05 * radius, 8 * radius);
      redraw();
    },
    // By pixels of a drag: outside the model turns with the pointer, inside the room does.
    turn(dx, dy) {
      const scale = look.inside ? (2 * slopes()[1]) / canvas.clientHeight : -Math.PI / canvas.clientHeight;
      look.yaw += dx * scale;
      look.pitch = clamp(look.pitch + dy * Math.abs(scale) * (look.inside ? 1 : -1), -89 * DEGREE, 89 * DEGREE);
      look.roll = 0;
      redraw();
    },
  };
  viewer.overview();
  draw();
  new ResizeObserver(redraw).observe(canvas);
  keepTurning(viewer);
  return viewer;
}

// Turns slowly while that is wanted, seen and not disturbed.
function keepTurning({ canvas, look, shown, redraw }) {
  let last = 0, visible = true;
  new IntersectionObserver((entries) => (visible = entries.at(-1).isIntersecting)).observe(canvas);
  const tick = (now) => {
    if (shown.turning && visible && !look.inside) {
      look.yaw += TURNING * Math.min(0.1, (now - last) / 1000);
      redraw();
    }
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
