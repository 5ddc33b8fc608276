"use strict";
// Two buttons below each figure, to save it as PNG and as SVG. Classes become the colours that they have on this page.

const NAMES = ["fill", "stroke", "stroke-width", "stroke-dasharray"];

function standAlone(drawn) {
  const copy = drawn.cloneNode(true), box = drawn.viewBox.baseVal;
  const originals = drawn.querySelectorAll("[class]");
  copy.querySelectorAll("[class]").forEach((element, index) => {
    const computed = getComputedStyle(originals[index]);
    for (const name of NAMES) element.setAttribute(name, computed.getPropertyValue(name));
    element.removeAttribute("class");
  });
  const background = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  background.setAttribute("width", box.width);
  background.setAttribute("height", box.height);
  background.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
  copy.prepend(background);
  copy.setAttribute("font-family", "sans-serif");
  copy.setAttribute("width", box.width);
  copy.setAttribute("height", box.height);
  return new XMLSerializer().serializeToString(copy);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePng(drawn, name) {
  const box = drawn.viewBox.baseVal, image = new Image();
  const address = URL.createObjectURL(new Blob([standAlone(drawn)], {type: "image/svg+xml"}));
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2 * box.width;
    canvas.height = 2 * box.height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(address);
    canvas.toBlob(blob => save(blob, `${name}.png`), "image/png");
  };
  image.src = address;
}

for (const figure of document.querySelectorAll("figure")) {
  const drawn = figure.querySelector("svg");
  const name = figure.dataset.name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "figure";
  const buttons = [["PNG", () => savePng(drawn, name)],
    ["SVG", () => save(new Blob([standAlone(drawn)], {type: "image/svg+xml"}), `${name}.svg`)]];
  for (const [label, act] of buttons) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.title = `Save this figure as ${label}`;
    button.addEventListener("click", act);
    figure.append(button);
  }
}
