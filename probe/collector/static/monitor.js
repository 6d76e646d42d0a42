// Keeps the page live: replaces the cells that changed. Everything on the page works without it.
"use strict";

const live = document.getElementById("live");
const news = document.getElementById("news");

// Western digits in Arabic too, as everywhere else on the page.
const language = `${document.documentElement.lang}-u-nu-latn`;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
  if (seconds < 60) return relative.format(0, "second");
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 172800) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86400), "day");
}

function tellTime(root) {
  for (const time of root.querySelectorAll("time.ago")) {
    if (!time.title) time.title = time.textContent;
    time.textContent = ago(time);
  }
}

function parse(html, selector) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(selector);
}

function replaceCell({ key, html }) {
  const old = document.getElementById(`c-${key}`);
  if (!old) return false;
  const fresh = parse(`<table><tr>${html}</tr></table>`, "td");
  const focused = old.contains(document.activeElement);
  tellTime(fresh);
  old.replaceWith(fresh);
  if (focused) fresh.querySelector("a").focus();
  if (fresh.dataset.verdict !== old.dataset.verdict) {
    fresh.classList.add("changed");
    const text = (part) => fresh.querySelector(part).textContent.trim();
    const target = fresh.closest("tbody").querySelector(".name").textContent.trim();
    news.textContent = `${target}, ${text(".op")}: ${text(".verdict")}`;
  }
  return true;
}

// A new operator or target changes the shape of the table: fetch the page and take its middle.
let fetching = false;
async function replacePage() {
  if (fetching) return;
  fetching = true;
  try {
    await new Promise((resolve) => setTimeout(resolve, 200 + Math.random() * 800)); // not all viewers at once
    const answer = await fetch(location.pathname, { cache: "no-store" });
    if (!answer.ok) return;
    const fresh = parse(await answer.text(), "#page");
    tellTime(fresh);
    document.getElementById("page").replaceWith(fresh);
  } finally {
    fetching = false;
  }
}

function follow() {
  const source = new EventSource(`${live.dataset.events}?after=${encodeURIComponent(live.dataset.change)}`);
  const state = (text, on) => {
    live.textContent = text;
    live.classList.toggle("on", on);
  };
  source.addEventListener("open", () => state(live.dataset.live, true));
  source.addEventListener("error", () => {
    state(live.dataset.again, false);
    // Refused (too many viewers): the browser gives up for good, so the page is fetched now and then instead.
    if (source.readyState !== EventSource.CLOSED) return;
    const later = 60000 * (0.5 + Math.random());
    setTimeout(() => replacePage().catch(() => {}).finally(follow), later);
  });
  source.addEventListener("cell", (event) => {
    if (!replaceCell(JSON.parse(event.data))) replacePage().catch(() => {});
  });
  source.addEventListener("summary", (event) => {
    const fresh = parse(JSON.parse(event.data).html, "#summary");
    document.getElementById("summary").replaceWith(fresh);
    document.title = `${fresh.querySelector("h1").textContent} – ${live.dataset.title}`;
  });
  source.addEventListener("reload", () => replacePage().catch(() => {}));
}

// On paper, "5 min ago" means nothing: print the instants themselves.
addEventListener("beforeprint", () => {
  for (const time of document.querySelectorAll("time.ago")) time.textContent = time.title;
  if (live) live.textContent = `${absolute.format(new Date())} UTC`;
});
addEventListener("afterprint", () => {
  tellTime(document);
  if (live) live.textContent = live.classList.contains("on") ? live.dataset.live : live.dataset.again;
});

tellTime(document);
setInterval(() => tellTime(document), 30000);
if (live) follow();
