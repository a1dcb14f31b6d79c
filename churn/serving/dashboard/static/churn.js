// A slider beside the number of the budget. Without script the number and its button do the same.
"use strict";
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
(() => {
  const form = document.getElementById("budget-form");
  const told = document.getElementById("at-budget");
  if (!form || !told) return;
  const curve = JSON.parse(form.dataset.curve);
  if (curve.length < 2) return;
  const number = form.elements.budget;
  const planned = document.getElementById("plan-budget");
  const slider = document.createElement("input");
  const most = Number(form.dataset.most);
  Object.assign(slider, { type: "range", min: 0, max: most, step: most > 500 ? 10 : most / 100 });
  slider.setAttribute("aria-label", form.querySelector("label").textContent);
  slider.value = number.value;
  number.after(slider);
  const write = new Intl.NumberFormat(told.dataset.language, { maximumFractionDigits: 0 });
  const before = told.dataset.before === "1";
  const money = (value) => {
    const text = write.format(Math.abs(value));
    const sign = value <= -0.5 ? "−" : "";
    return sign + (before ? told.dataset.unit + text : `${text} ${told.dataset.unit}`);
  };
  const at = (budget) => {
    const last = curve[curve.length - 1];
    const next = curve.findIndex((point) => point[0] >= budget);
    if (next < 0) return [last[1], last[2]];
    if (next === 0) return [curve[0][1], curve[0][2]];
    const [a, b] = [curve[next - 1], curve[next]];
    const share = (budget - a[0]) / (b[0] - a[0]);
    return [a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])];
  };
  const show = (budget) => {
    const [cost, value] = at(budget);
    const change = value - Number(told.dataset.now || value);
    const parts = { budget: money(budget), cost: money(cost), value: money(value),
      difference: (change >= 0.5 ? "+" : "") + money(change) };
    told.textContent = told.dataset.text.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
    if (planned) planned.value = budget.toFixed(2);
  };
  // As the service reads it: three digits after a separator are thousands, one or two are cents.
  const read = (text) => {
    const amount = /^(\d+|[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?:\.\d{3})+)(?:[.,](\d{1,2}))?$/;
    const found = amount.exec(text.replace(/\s/g, ""));
    return found ? Number(`${found[1].replace(/[.,]/g, "")}.${found[2] || 0}`) : NaN;
  };
  slider.addEventListener("input", () => { number.value = slider.value; show(Number(slider.value)); });
  number.addEventListener("input", () => {
    const budget = read(number.value);
    if (budget >= 0) { slider.value = budget; show(budget); }
    else if (planned) planned.value = number.value;  // refused by the service, not an earlier one
  });
})();
