// Opens `agnews app` at phone and desktop width, in light and dark, asks it about a text and gives it
// a file, and says as JSON what it asked others for, what it complained of, how wide it is, what it
// answered, and what axe finds.
// Usage: node look_app.js URL FILE [PREFIX of screenshots]

const fs = require("fs");
const path = require("path");
const puppeteer = require("puppeteer-core");

const WIDTHS = [390, 1280];
const HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> the striker scored & \u202e twice";
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

(async () => {
  const [url, file, prefix] = process.argv.slice(2);
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const page = await browser.newPage();
  const asked = [], errors = [], looks = [];
  const own = (address) => address.startsWith(url) || /^(data|blob):/.test(address);
  page.on("request", (r) => own(r.url()) || asked.push(r.url().slice(0, 200)));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("dialog", (dialog) => { errors.push("dialog"); dialog.dismiss(); });
  const tab = (name) => page.locator(`::-p-xpath(//button[@role="tab"][normalize-space()="${name}"])`).click();
  const press = (name) => page.locator(`::-p-xpath(//button[normalize-space()="${name}"])`).click();
  const shot = (name) => prefix && page.screenshot({ path: `${prefix}-${name}.png`, fullPage: true });

  const look = async (name, scheme, width) => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    await shot(`${name}-${width}-${scheme}`);
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document));
    const violations = found.violations.map((v) => [v.id, v.impact, v.nodes[0].html.slice(0, 200)]);
    const said = await page.evaluate(() => document.body.innerText);
    looks.push({ name, scheme, width, wide, violations, said });
  };
  for (const scheme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.goto(url, { waitUntil: "networkidle2" });
      await page.waitForSelector("textarea");
      await page.locator("textarea").fill(HOSTILE);
      await press("Classify");
      await page.waitForSelector(".agnews .words", { timeout: 60000 });
      await look("text", scheme, width);
      await tab("A file");
      const input = await page.waitForSelector("input[type=file]");
      await input.uploadFile(file);
      const stem = path.parse(file).name;
      await page.waitForFunction((name) => document.body.innerText.includes(name), {}, stem);
      await press("Label its rows");
      await page.waitForFunction(() => document.body.innerText.includes("rows are labelled"), { timeout: 60000 });
      await new Promise((done) => setTimeout(done, 700));
      await look("file", scheme, width);
    }
  }
  await browser.close();
  console.log(JSON.stringify({ asked, errors, looks }));
})();
