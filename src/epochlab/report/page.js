// The page's own behaviour; without it everything can still be read.

const root = document.documentElement;

// --- light and dark: the toggle wins over the system's wish and is remembered where allowed -------

const button = document.getElementById("theme");
const remembered = { get: () => { try { return localStorage.getItem("epochlab-theme"); } catch { return null; } },
                     set: (v) => { try { localStorage.setItem("epochlab-theme", v); } catch { /* not allowed */ } } };
if (remembered.get()) root.dataset.theme = remembered.get();
const isDark = () => root.dataset.theme
  ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
button.hidden = false;
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remembered.set(root.dataset.theme);
});

// --- figures: the drawn picture is replaced by the chart when it comes near ---------------------------

// The page may fetch nothing; pictures inside a figure are data addresses.
const loader = { load: () => Promise.reject(new Error("offline")),
                 sanitize: (uri) => String(uri).startsWith("data:image/")
                   ? Promise.resolve({ href: uri }) : Promise.reject(new Error("offline")) };

async function enliven(plot) {
  const spec = JSON.parse(document.getElementById(plot.dataset.spec).textContent);
  const still = [...plot.childNodes];
  const place = document.createElement("div");
  try {
    await window.vegaEmbed(place, spec, {
      mode: "vega-lite", renderer: "svg", actions: false, ast: true, loader,
      tooltip: { theme: "custom" },
    });
    // A picture is one thing to a screen reader until it can be pointed at.
    plot.replaceChildren(place);
    const hint = plot.closest("figure").querySelector(".hint");
    if (hint) hint.hidden = false;
  } catch (error) {
    plot.replaceChildren(...still);
    console.error(error);
  }
}

const plots = document.querySelectorAll("[data-spec]");
if (window.vegaEmbed && "IntersectionObserver" in window) {
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      watch.unobserve(entry.target);
      enliven(entry.target);
    }
  }, { rootMargin: "600px" });
  plots.forEach((plot) => watch.observe(plot));
}

// --- save a picture as it stands, its theme's colours written out --------------------------------------

function written(svg) {
  const copy = svg.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.removeAttribute("style");
  const style = getComputedStyle(root);
  return new XMLSerializer().serializeToString(copy)
    .replace(/var\((--[a-z0-9]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

document.querySelectorAll("[data-save]").forEach((saver) => {
  saver.hidden = false;
  saver.addEventListener("click", () => {
    const svg = saver.closest("figure").querySelector(".plot svg");
    const text = written(svg);
    if (saver.dataset.save === "svg") {
      download(new Blob([text], { type: "image/svg+xml" }), `${saver.dataset.name}.svg`);
      return;
    }
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = image.width * 2;
      canvas.height = image.height * 2;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => download(blob, `${saver.dataset.name}.png`));
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  });
});

// --- tables: a click on a heading sorts; numbers as numbers, what is no number last ---------------------

function sortKey(cell) {
  const text = cell ? cell.textContent.trim() : "";
  const number = Number(text.replaceAll(",", "").replace(/\s*%$/, ""));
  return { text, number, isNumber: text !== "" && !Number.isNaN(number), known: !["", "-", "nan", "inf", "-inf"].includes(text) };
}

function sortBy(heading) {
  const table = heading.closest("table");
  const column = [...heading.parentNode.children].indexOf(heading);
  const down = heading.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: sortKey(row.cells[column]) }));
  rows.sort((a, b) => {
    if (a.key.known !== b.key.known) return a.key.known ? -1 : 1;
    const order = a.key.isNumber && b.key.isNumber ? a.key.number - b.key.number
      : a.key.text.localeCompare(b.key.text, undefined, { numeric: true });
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

document.querySelectorAll(".sortable th").forEach((heading) => {
  heading.tabIndex = 0;
  heading.title = "sort";
  heading.addEventListener("click", () => sortBy(heading));
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sortBy(heading); }
  });
});

// --- copy the command --------------------------------------------------------------------------------------

document.querySelectorAll("[data-copy]").forEach((copier) => {
  if (!navigator.clipboard) return;
  copier.hidden = false;
  copier.addEventListener("click", async () => {
    await navigator.clipboard.writeText(copier.parentNode.querySelector("code").textContent);
    copier.textContent = "copied";
    setTimeout(() => { copier.textContent = "copy"; }, 1500);
  });
});

if (matchMedia("(max-width: 1079px)").matches) document.querySelector(".contents details").open = false;
