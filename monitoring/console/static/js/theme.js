// Runs before the first paint, so that the theme does not flash: the reader's choice, else the system's.
"use strict";
{
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    root.dataset.theme = localStorage.getItem("riskmon-theme") ?? (system.matches ? "dark" : "light");
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const other = () => (root.dataset.theme === "dark" ? "light" : "dark");
    const tell = () => {
      apply();
      button.textContent = other() === "dark" ? "Dark" : "Light";
      button.setAttribute("aria-label", `Switch to the ${other()} theme`);
      document.dispatchEvent(new Event("themechange"));
    };
    button.addEventListener("click", () => {
      localStorage.setItem("riskmon-theme", other());
      tell();
    });
    system.addEventListener("change", tell);
    tell();
  });
}
