// Opens a page at phone and desktop width, in light and dark, with and without scripts, and says as
// JSON what it asked for, what it complained of, how wide it is, and what axe finds.
// Usage: node look.js FILE [PREFIX of screenshots]

const fs = require("fs");
const puppeteer = require("puppeteer-core");

const WIDTHS = [390, 1280];
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

(async () => {
  const [file, prefix] = process.argv.slice(2);
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const page = await browser.newPage();
  const asked = [], errors = [], looks = [];
  page.on("request", (r) => r.url() === "file://" + file || asked.push(r.url().slice(0, 200)));
  page.on("console", (message) => errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("dialog", (dialog) => { errors.push("dialog"); dialog.dismiss(); });
  for (const scheme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.goto("file://" + file);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (prefix) await page.screenshot({ path: `${prefix}-${width}-${scheme}.png`, fullPage: true });
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
      await page.evaluate(axe);
      const found = await page.evaluate(() => axe.run(document));
      const violations = found.violations.map((v) => [v.id, v.impact, v.nodes[0].html.slice(0, 200)]);
      looks.push({ scheme, width, wide, violations });
    }
  }
  await page.setJavaScriptEnabled(false);
  await page.goto("file://" + file);
  const words = await page.$eval("main", (main) => main.textContent.length);
  await browser.close();
  console.log(JSON.stringify({ asked, errors, looks, words }));
})();
