(() => {
  const page = document.getElementById("page"), lost = document.getElementById("lost");
  let looking = false;
  async function look() {
    if (looking || document.hidden) return;
    looking = true;
    try {
      const answer = await fetch("/", {cache: "no-store", signal: AbortSignal.timeout(8000)});
      const next = new DOMParser().parseFromString(await answer.text(), "text/html"), from = next.getElementById("page");
      if (!from) throw new Error("no page");
      const open = [...page.querySelectorAll("details")].map(d => [d.id, d.open]);
      page.replaceChildren(...from.childNodes);
      for (const [id, is] of open) {
        const d = document.getElementById(id);
        if (d) d.open = is;
      }
      document.title = next.title;
      lost.hidden = true;
    } catch (e) {
      lost.hidden = false;
    }
    looking = false;
  }
  setInterval(look, 2000);
  document.addEventListener("visibilitychange", look);
})();
