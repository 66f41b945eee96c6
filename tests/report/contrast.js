// The contrast of texts with what is behind them (WCAG 2.2, "contrast ratio" and "relative luminance").
(() => {
  // A color as red, green and blue, drawn, since `color-mix` has a notation of its own.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data]
      .slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (part) => {
    const color = getComputedStyle(part).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? behind(part.parentElement) : color;
  };
  const matrix = document.querySelector(".matrix tbody tr");
  for (const shade of ["p0", "p1", "p2", "p3", "p4", "n0", "n1", "n2", "n3", "n4"]) {
    const cell = document.createElement("td");
    cell.className = shade;
    matrix.append(cell);
  }
  const mark = document.createElement("mark");
  document.querySelector("td.excerpt, .excerpt").append(mark);
  const names = ["mark", "body", ".quiet", ".mean", "nav a", "figcaption", "thead th", "caption", "td a", "pre"];
  const parts = [...names.map((name) => document.querySelector(name)), ...matrix.cells];
  return parts.map((part) => {
    const [ink, paper] = [getComputedStyle(part).color, behind(part)].map(luminance);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})();
