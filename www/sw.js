// Keeps the page for use without a network. `precache.js` is written with every build and names
// the version and all files; a visitor has either all files of a version or none.

importScripts("./precache.js");

const CACHE = `highwater-${self.VERSION}`;

// While somebody works on the page, what the server has comes first.
const AT_WORK = ["localhost", "127.0.0.1", "[::1]"].includes(self.location.hostname);

self.addEventListener("install", (event) => {
  const requests = self.PRECACHE.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOldVersions().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const ours = event.request.url.startsWith(self.registration.scope);
  if (event.request.method === "GET" && ours) event.respondWith(answer(event.request));
});

async function answer(request) {
  if (AT_WORK) return fetch(request).catch(() => kept(request).then((found) => found ?? Response.error()));
  return (await kept(request)) ?? fetch(request);
}

async function kept(request) {
  const cache = await caches.open(CACHE);
  // The page's own address may carry a query; it is the same page.
  const name = request.mode === "navigate" && isThePage(request.url) ? "./index.html" : request;
  return cache.match(name, { ignoreSearch: true });
}

function isThePage(url) {
  const rest = new URL(url).pathname.slice(new URL(self.registration.scope).pathname.length);
  return rest === "" || rest === "index.html";
}

// Other programs of the same host may keep caches too; only ours go.
async function forgetOldVersions() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("highwater-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}
