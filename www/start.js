// Starts the page: loads the WebAssembly module, then prepares the use without a network.

import init from "./page.js";

const starting = document.getElementById("starting");

try {
  await init();
  starting?.remove();
} catch (problem) {
  console.error(problem);
  if (starting) {
    starting.textContent =
      "Highwater could not start. It needs a browser with WebAssembly; " +
      "in a current Firefox, Chrome, Edge or Safari, reload the page.";
  }
}

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("./sw.js").then(useTheNewest, () => {
    // Without a service worker (a private window, say) everything works but offline use.
  });
}

// All that this page needs is loaded by now, so a newer version may take over for the next load.
function useTheNewest(registration) {
  const takeOver = (worker) => {
    if (worker?.state === "installed" && navigator.serviceWorker.controller) {
      worker.postMessage("take over");
    }
  };
  takeOver(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker?.addEventListener("statechange", () => takeOver(worker));
  });
}
