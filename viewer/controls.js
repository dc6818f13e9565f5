"use strict";
// Buttons, keys and read-outs of the page, kept in step with the player.

function wireControls(player) {
  const { timeline, measurement, header } = player;
  const relative = header.units !== "mm";
  $("about").textContent = [
    relative ? "relative units" : "millimetres",
    `${header.count.toLocaleString("en")} Gaussians${header.count < header.original_count ? ` of ${header.original_count.toLocaleString("en")}` : ""}`,
  ].join(" · ");
  $("units-note").textContent = (relative
    ? "Lengths are relative: the median depth of the first frame is 100. One still camera cannot measure millimetres."
    : "Lengths are in millimetres.") + (header.note ? ` ${header.note}` : "");
  document.body.classList.toggle("still", timeline.still);
  $("scrub").min = timeline.start;
  $("scrub").max = timeline.end;

  const speeds = [...$("speed").options].map((option) => Number(option.value));
  const setSpeed = (speed) => {
    timeline.speed = speed;
    $("speed").value = String(speed);
  };
  const faster = (by) => setSpeed(speeds[Math.min(Math.max(speeds.indexOf(timeline.speed) + by, 0), speeds.length - 1)]);
  const setLoop = (loop) => {
    timeline.loop = loop;
    player.invalidate();
  };
  const help = (open) => (open ? $("help").showModal() : $("help").close());

  const clicks = {
    play: () => timeline.play(!timeline.playing),
    "step-back": () => timeline.step(-1),
    "step-on": () => timeline.step(1),
    loop: () => setLoop(!timeline.loop),
    "camera-endoscope": () => player.setCamera("endoscope"),
    "camera-orbit": () => player.setCamera("orbit"),
    "mode-color": () => player.setMode("color"),
    "mode-depth": () => player.setMode("depth"),
    measure: () => player.setMeasuring(!player.measuring),
    "measure-again": () => { measurement.clear(); player.invalidate(); },
    "measure-save": () => saveText(`${document.title} distance.csv`, measurement.csv()),
    reset: () => player.reset(),
    "help-button": () => help(true),
    "help-close": () => help(false),
  };
  for (const [id, act] of Object.entries(clicks)) {
    $(id).addEventListener("click", (event) => {
      act();
      if (event.detail) event.currentTarget.blur();  // so that space plays, whatever was clicked last
    });
  }
  $("scrub").addEventListener("input", () => {
    timeline.playing = false;
    timeline.seek(Number($("scrub").value));
  });
  $("speed").addEventListener("change", () => {
    setSpeed(Number($("speed").value));
    $("speed").blur();
  });
  $("plot").addEventListener("click", (event) => {
    timeline.playing = false;
    timeline.seek(timeline.start + (event.offsetX / $("plot").clientWidth) * (timeline.end - timeline.start));
  });

  const keys = {
    " ": clicks.play, ArrowLeft: clicks["step-back"], ArrowRight: clicks["step-on"],
    Home: () => timeline.seek(timeline.start), End: () => timeline.seek(timeline.end),
    "[": () => faster(-1), "]": () => faster(1), l: clicks.loop,
    e: clicks["camera-endoscope"], o: clicks["camera-orbit"], c: clicks["mode-color"], d: clicks["mode-depth"],
    m: clicks.measure, Escape: () => player.setMeasuring(false), r: clicks.reset, "?": () => help(true),
  };
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key], tag = event.target.tagName;
    if (!act || tag === "SELECT" || (tag === "BUTTON" && event.key === " ")) return;  // their own keys
    event.preventDefault();
    act();
  });
  listenToGestures($("canvas"), {
    turn: (dx, dy) => player.turn(dx, dy),
    pan: (dx, dy) => player.pan(dx, dy),
    zoom: (factor) => player.zoom(factor),
    tap: (x, y) => player.tap(x, y),
  });

  paintDepthColors($("depth-bar").querySelector("canvas"), header.depth.colors);
  $("depth-bar").querySelector("b").textContent = relative ? "depth, relative" : "depth, mm";
  player.changed = () => showState(player);
  showState(player);
}

function press(id, pressed) {
  $(id).setAttribute("aria-pressed", String(pressed));
}

/** Brings every read-out in step with the player. */
function showState(player) {
  const { timeline, measurement } = player, view = player.drawnView || player.view();
  document.body.classList.toggle("playing", timeline.playing);
  document.body.classList.toggle("measuring", player.measuring);
  $("scrub").value = timeline.time;
  $("clock").textContent = timeline.text();
  press("loop", timeline.loop);
  press("camera-endoscope", player.camera === "endoscope");
  press("camera-orbit", player.camera === "orbit");
  press("mode-color", player.mode === "color");
  press("mode-depth", player.mode === "depth");
  press("measure", player.measuring);

  $("depth-bar").hidden = player.mode !== "depth";
  if (player.mode === "depth") {
    const { low, high } = player.depthRange(view), [near, middle, far] = $("depth-bar").querySelectorAll("li");
    near.textContent = low.toFixed(player.decimals);
    middle.textContent = ((low + high) / 2).toFixed(player.decimals);
    far.textContent = high.toFixed(player.decimals);
  }
  showScaleBar(player, view);

  $("measurement").hidden = !player.measuring;
  for (const id of ["distance", "stretch", "plot", "measure-again", "measure-save"]) $(id).hidden = !measurement.complete;
  $("plot").hidden = !measurement.complete || timeline.still;
  const asked = ["Click a first point on the tissue.", "Click a second point.", "Straight distance between the points"];
  $("hint").textContent = player.missed ? "No tissue there; click where there is some." : asked[measurement.points.length];
  if (measurement.complete) {
    const stretch = measurement.stretch(timeline.time) * 100;
    $("distance").textContent = player.length(measurement.distance(timeline.time));
    $("stretch").textContent = timeline.still ? "" : `${stretch.toFixed(1)} % of its length at ${measurement.points[1].time.toFixed(2)} s`;
    if (!timeline.still) measurement.plot($("plot"), timeline.time, (value) => player.length(value));
  }
  showPoints(player, view);
}

/** The measured points and their connection over the picture. */
function showPoints(player, view) {
  const stage = $("stage"), { measurement, timeline } = player, ratio = stage.clientWidth / view.canvas[0];
  const places = measurement.at(timeline.time).map((point) => projectPoint(view, point));
  const shown = places.filter(Boolean).map(([x, y]) => [x * ratio, y * ratio]);
  const dots = (kind, r) => shown.map(([x, y]) => `<circle class="${kind}" cx="${x}" cy="${y}" r="${r}"/>`).join("");
  let drawing = "";
  if (shown.length === 2) {
    const [[ax, ay], [bx, by]] = shown, ends = `x1="${ax}" y1="${ay}" x2="${bx}" y2="${by}"`;
    drawing += `<line class="halo" ${ends}/><line ${ends}/>`;
    drawing += `<text x="${(ax + bx) / 2}" y="${(ay + by) / 2 - 10}">${player.length(measurement.distance(timeline.time))}</text>`;
  }
  $("overlay").innerHTML = drawing + dots("halo", 6) + dots("", 6);
}

/** A bar of a round length, as long as it is at the depth of the middle of the tissue. */
function showScaleBar(player, view) {
  const stage = $("stage"), depth = depthIn(view, player.header.pivot);
  $("scale-bar").hidden = !(depth > view.near);
  $("scale-bar").style.left = `${18 + view.region[0] * (stage.clientWidth / view.canvas[0])}px`;
  const pixels = (view.focal[0] / depth) * (stage.clientWidth / view.canvas[0]);  // CSS pixels of one unit
  const most = 140 / pixels, power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].find((digit) => digit * power <= most) * power;
  $("scale-bar").querySelector("i").style.width = `${length * pixels}px`;
  $("scale-bar").querySelector("span").textContent = `${Number(length.toPrecision(1))} ${player.header.units === "mm" ? "mm" : "relative units"}`;
}

/** 256 colours, near above far, as hexadecimal digits. */
function paintDepthColors(canvas, digits) {
  const paint = canvas.getContext("2d");
  for (let i = 0; i < 256; i++) {
    paint.fillStyle = `#${digits.slice(6 * i, 6 * i + 6)}`;
    paint.fillRect(0, i, 1, 1);
  }
}

function saveText(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
