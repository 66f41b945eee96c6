// The contrast of texts with the page (WCAG 2.2, "contrast ratio" and "relative luminance").
(() => {
  const luminance = (color) => {
    const [red, green, blue] = color
      .match(/[0-9.]+/g)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  return ["body", ".quiet", ".mean", "nav a", "figcaption", "thead th", "caption"].map((name) => {
    const ink = luminance(getComputedStyle(document.querySelector(name)).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})();
