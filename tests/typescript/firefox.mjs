// The page in Firefox: from signing in to a shared clip that plays. Run by tests/browser/test_firefox.py with the address and the key of a
// server with the recordings `meeting.mp4`, which Firefox plays, and `camera.ts`, which it plays as a proxy.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [, , modules, executablePath, url, key] = process.argv;
const { default: puppeteer } = await import(createRequire(modules).resolve("puppeteer-core"));

const faults = [];
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: { "media.autoplay.default": 0 },
});
try {
  await useThePage();
} finally {
  await browser.close();
}
assert.deepEqual(faults, []);

async function opened() {
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  await page.setViewport({ width: 1280, height: 720 });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("response", (response) => response.status() >= 400 && faults.push(`${response.status()} ${response.url()}`));
  return page;
}

async function useThePage() {
  const page = await opened();
  await page.goto(url);
  await page.locator("input[type='password'], input[name='key']").fill(key);
  await page.keyboard.press("Enter");
  await playProxy(page);
  await press(page, "nav a", "Recordings");
  await open(page, "meeting.mp4");
  await selectByMouse(page);
  await page.locator("#label").fill("from Firefox");
  await page.locator("button.make").click();
  await press(page, "[role='tab']", "Clips");
  await press(page, ".clip-row button:enabled", "Play from Firefox");
  await playing(page, "dialog video");
  await press(page, "dialog button", "Close");
  await press(page, ".clip-row button", "Share from Firefox");
  await press(page, "dialog button", "Create link");
  const link = await (await page.waitForSelector("dialog input[readonly]")).evaluate((input) => input.value);
  const shared = await opened();
  await shared.goto(link);
  await shared.$eval("video", (video) => video.play());
  await playing(shared, "video");
}

/** Try until it succeeds: rows of lists are replaced while they are used. */
async function retried(what, action) {
  for (const deadline = Date.now() + 120_000; ; ) {
    let reason = "";
    const done = await action().catch((error) => {
      reason = String(error);
    });
    if (done) return;
    assert.ok(Date.now() < deadline, `in vain: ${what} ${reason}`);
  }
}

/** Click the first element of a selector that has this name. */
async function press(page, selector, name) {
  await retried(`${selector} ${name}`, async () => {
    for (const each of await page.$$(selector)) {
      const text = await each.evaluate((node) => node.getAttribute("aria-label") ?? node.textContent);
      if (!text.includes(name)) continue;
      await each.click();
      return true;
    }
    return false;
  });
}

/** Open a recording of the list, and wait until it can be played. */
async function open(page, name) {
  await press(page, "main li a", name);
  await page.waitForSelector(".timeline[aria-busy='false']");
  await until(page, ".stage video", (video) => video.readyState > 1);
}

async function playProxy(page) {
  await open(page, "camera.ts");
  await page.keyboard.press("l");
  await playing(page, ".stage video");
  await page.keyboard.press("k");
}

/** Select the middle of the recording, and change the in point by typing. */
async function selectByMouse(page) {
  const box = await (await page.waitForSelector(".tracks")).boundingBox();
  const [from, to] = [0.25, 0.75].map((part) => box.x + box.width * part);
  await page.mouse.move(from, box.y + 20);
  await page.mouse.down();
  await page.mouse.move((from + to) / 2, box.y + 20);
  await page.mouse.move(to, box.y + 20);
  await page.mouse.up();
  await until(page, "button.make", (button) => !button.disabled);
  await page.locator("input[aria-label='In point']").fill("0.4");
  await page.keyboard.press("Enter");
  await until(page, ".handle.start", (handle) => handle.getAttribute("aria-valuenow") === "0.400");
}

/** Wait until the position of a video has advanced by its own. */
async function playing(page, selector) {
  const before = await (await page.waitForSelector(selector)).evaluate((video) => video.currentTime);
  await until(page, selector, (video, from) => video.currentTime > from + 0.2, before);
}

async function until(page, selector, condition, ...values) {
  await retried(`${selector} ${condition}`, () => page.$eval(selector, condition, ...values));
}
