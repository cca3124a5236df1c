"use strict";
/* Light or dark: as the system has it, until somebody chooses; the choice is kept where the browser lets a file keep anything. */
const theme = {
  now: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
  followers: [],
  set(name, keep) {
    theme.now = name;
    document.documentElement.dataset.theme = name;
    try {
      if (keep) localStorage.setItem("benchmark-theme", name);
    } catch { /* no storage for files */ }
    theme.followers.forEach((follow) => follow());
  },
};
try {
  const kept = localStorage.getItem("benchmark-theme");
  if (kept === "light" || kept === "dark") theme.now = kept;
} catch { /* no storage for files */ }
theme.set(theme.now, false);

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  const say = () => { button.textContent = theme.now === "dark" ? "Light theme" : "Dark theme"; };
  theme.followers.push(say);
  button.addEventListener("click", () => theme.set(theme.now === "dark" ? "light" : "dark", true));
  button.hidden = false;
  say();
});
