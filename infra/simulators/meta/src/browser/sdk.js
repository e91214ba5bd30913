// The part of Facebook's SDK that a signup uses: FB.init, FB.login, and the call of fbAsyncInit.
(() => {
  "use strict";
  const base = new URL(document.currentScript.src).origin;
  let app = null;

  // How often an open window is looked at, in milliseconds.
  const LOOK = 250;

  const log = (text) => console.error(`FB: ${text}`);

  const login = (callback, options) => {
    if (typeof callback !== "function") throw new Error("Expression is of type object, not function");
    if (Object.prototype.toString.call(callback) === "[object AsyncFunction]") {
      throw new Error("Expression is of type asyncfunction, not function");
    }
    if (!app) return log("FB.login() called before FB.init().");
    const asked = options || {};
    const cb = `f${Math.random().toString(16).slice(2)}`;
    const query = new URLSearchParams({
      client_id: app.appId, version: app.version, display: "popup", cb, origin: location.origin,
      config_id: asked.config_id || "", response_type: asked.response_type || "token",
      override_default_response_type: asked.override_default_response_type ? "true" : "false",
      extras: JSON.stringify(asked.extras || {}),
    });
    const popup = window.open(`${base}/dialog?${query}`, "", "width=600,height=680");
    // As with the real one: nobody is called back.
    if (!popup) return log("the window was blocked");

    let done = false, seenClosed = false;
    const end = (authResponse) => {
      if (done) return;
      done = true;
      clearInterval(timer);
      window.removeEventListener("message", heard);
      callback({ authResponse, status: "unknown" });
    };
    const heard = (event) => {
      if (event.origin !== base || typeof event.data !== "string") return;
      const told = new URLSearchParams(event.data);
      if (told.get("cb") !== cb || !told.has("result")) return;
      if (told.has("code")) return end({ userID: null, expiresIn: null, code: told.get("code") });
      if (told.has("access_token")) {
        return end({ userID: told.get("user_id"), expiresIn: 5183944, accessToken: told.get("access_token") });
      }
      end(null);
    };
    window.addEventListener("message", heard);
    // What was said before the window closed may still be under way: one look more.
    const timer = setInterval(() => {
      if (seenClosed) return end(null);
      seenClosed = popup.closed;
    }, LOOK);
  };

  window.FB = {
    init(options) {
      if (!options || !options.version) throw new Error("init not called with valid version");
      app = { appId: String(options.appId || ""), version: options.version };
      if (!document.getElementById("fb-root")) {
        const root = document.createElement("div");
        root.id = "fb-root";
        document.body.prepend(root);
      }
    },
    login,
  };
  if (typeof window.fbAsyncInit === "function" && !window.fbAsyncInit.hasRun) {
    window.fbAsyncInit.hasRun = true;
    window.fbAsyncInit();
  }
})();
