import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { rootFolder } from "../tidy/source.ts";

const executable = "/usr/bin/chromium";

/** Where screenshots of a run are kept. */
export const screenshotsFolder = join(rootFolder, ".cache", "screenshots");

/** Starts Debian's Chromium, headless, with no connection of its own to the outside. */
export function launchChromium(): Promise<Browser> {
  if (!existsSync(executable)) {
    throw new Error(`${executable} is missing; install Debian's package chromium.`);
  }
  mkdirSync(screenshotsFolder, { recursive: true });
  return chromium.launch({
    executablePath: executable,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A person at the page. */
export class Person {
  readonly page: Page;
  /** Errors that the page wrote to its console. */
  readonly errors: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on("console", (message) => {
      // The page asks who is logged in; that nobody is, is an answer and no error of the page.
      const asked = message.location().url.endsWith("/v1/logins");
      if (message.type() === "error" && !asked) {
        this.errors.push(`${message.text()} ${message.location().url}`);
      }
    });
    page.on("pageerror", (error) => this.errors.push(error.message));
  }

  /** Opens the page and logs in with a one-time code. */
  static async enter(context: BrowserContext, url: string, code: string): Promise<Person> {
    const person = await Person.open(context, url);
    await person.page.getByLabel("One-time code").fill(code);
    await person.page.getByRole("button", { name: "Enter" }).click();
    await person.live();
    return person;
  }

  /** Opens the page as whoever the context is logged in as. */
  static async open(context: BrowserContext, url: string): Promise<Person> {
    const page = await context.newPage();
    const person = new Person(page);
    await page.goto(url);
    return person;
  }

  /** Waits until the page says that it is connected. */
  async live(): Promise<void> {
    await this.page.locator(".state.live").waitFor({ timeout: 15_000 });
  }

  /** Writes one message. */
  async say(text: string): Promise<void> {
    await this.page.locator("#draft").fill(text);
    await this.page.locator("#draft").press("Enter");
  }

  /** Presses one of the buttons that appear over a message. */
  async act(text: string, button: string): Promise<void> {
    const row = this.page.locator("li.message.sent", { hasText: text }).last();
    await row.hover();
    await row.getByRole("button", { name: button, exact: true }).click();
  }

  /** Writes messages and verifies each until a receipt is cosigned by such a name. */
  async receiptBy(cosigner: string, limitMs = 30_000): Promise<void> {
    const untilMs = performance.now() + limitMs;
    let said = "";
    for (let count = 1; performance.now() < untilMs; count += 1) {
      const text = `Proof ${count} by ${cosigner}`;
      await this.say(text);
      await this.sees(text);
      const row = this.page.locator("li.message.sent", { hasText: text }).last();
      await row.hover();
      await row.getByRole("button", { name: /^[0-9]+$/ }).click();
      const receipt = row.locator(".receipt");
      await receipt.waitFor({ timeout: 15_000 });
      said = (await receipt.getAttribute("title")) ?? "";
      if (said.includes("cosigned by") && said.includes(cosigner)) return;
    }
    throw new Error(`no receipt by ${cosigner} within ${limitMs} ms; the last one: ${said}`);
  }

  /** Committed messages on the page, in its order. */
  messages(): Promise<{ readonly seq: number; readonly body: string }[]> {
    return this.page.locator("li.message.sent").evaluateAll((rows) =>
      rows.map((row) => ({
        seq: Number(row.getAttribute("data-seq")),
        body: row.querySelector(".body")?.textContent ?? "",
      })),
    );
  }

  /** Waits until a text stands on the page as a committed message. */
  async sees(text: string, limitMs = 15_000): Promise<void> {
    const row = this.page.locator("li.message.sent .body", { hasText: text });
    await row.first().waitFor({ timeout: limitMs });
  }

  /** Keeps a picture of the page. */
  async photograph(name: string): Promise<void> {
    await this.page.screenshot({ path: join(screenshotsFolder, `${name}.png`) });
  }
}
