// Light or dark: what the person chose here, else what the system says. Not a module: it runs
// before the page is drawn, so that no page flashes in the other colours.

(() => {
  const KEY = "cairn-theme";
  const CHOICES = ["auto", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      const value = localStorage.getItem(KEY);
      return CHOICES.includes(value) ? value : "auto";
    } catch {
      return "auto"; // storage is switched off
    }
  }

  function apply() {
    const choice = chosen();
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
  }

  document.documentElement.classList.add("scripted"); // shows what works by script alone
  apply();
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.addEventListener("click", () => {
        try {
          localStorage.setItem(KEY, button.dataset.themeChoice);
        } catch {
          // It then lasts for this page.
        }
        apply();
      });
    }
    apply();
  });
})();
