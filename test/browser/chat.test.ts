// Goal: people chat in real browsers, the primary is killed while they write, and they go on.
// Method: the README's own start command, Debian's Chromium, kill -9; screenshots are kept.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { launchChromium, Person } from "./chromium.ts";
import { LocalFleet } from "../support/local-fleet.ts";

/** Messages that each person writes while the primary dies; within an edge's burst limit. */
const messagesEach = 15;
/** Pause between two messages of one person, so that writing spans the kill. */
const pauseMs = 120;

let fleet: LocalFleet;
let browser: Browser;

before(async () => {
  fleet = await LocalFleet.start();
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  assert.equal(await fleet?.stop(), 0);
});

async function write(person: Person, name: string): Promise<void> {
  for (let index = 1; index <= messagesEach; index += 1) {
    await person.say(`${name} ${index}`);
    await new Promise((done) => setTimeout(done, pauseMs));
  }
}

function assertWhole(seen: readonly { readonly seq: number; readonly body: string }[]): void {
  for (const [index, message] of seen.entries()) {
    assert.equal(message.seq, (seen[0]?.seq ?? 0) + index, "seq is dense");
  }
  for (const name of ["ada", "grace", "tab"]) {
    const own = seen.filter((message) => message.body.startsWith(`${name} `));
    const numbers = own.map((message) => Number(message.body.slice(name.length)));
    const wanted = Array.from({ length: messagesEach }, (_, index) => index + 1);
    assert.deepEqual(numbers, wanted, `${name}: each once and in order`);
  }
}

test("browser: three write, the primary is killed, each message once and in order", async (t) => {
  const [first, second] = fleet.facts.logins;
  assert.ok(first !== undefined && second !== undefined);
  const adasBrowser = await browser.newContext();
  const ada = await Person.enter(adasBrowser, fleet.facts.page, first.code);
  const grace = await Person.enter(await browser.newContext(), fleet.facts.page, second.code);
  const tab = await Person.open(adasBrowser, fleet.facts.page);
  await tab.live();
  await ada.say("Hello, Grace");
  await grace.sees("Hello, Grace");
  await grace.say("Hello, Ada");
  await ada.sees("Hello, Ada");

  const people = [write(ada, "ada"), write(grace, "grace"), write(tab, "tab")];
  await new Promise((done) => setTimeout(done, (messagesEach * pauseMs) / 2));
  const primary = await fleet.primary();
  process.kill(fleet.pidOf(primary), "SIGKILL");
  const killedMs = performance.now();
  const headAtKill = (await grace.messages()).at(-1)?.seq ?? 0;
  await grace.page.locator(`li.message.sent[data-seq="${headAtKill + 3}"]`).waitFor();
  const gapMs = Math.round(performance.now() - killedMs);
  t.diagnostic(`killed ${primary}; three messages further after ${gapMs} ms`);
  await Promise.all(people);
  for (const person of [ada, grace, tab]) {
    for (const name of ["ada", "grace", "tab"]) await person.sees(`${name} ${messagesEach}`);
    assertWhole(await person.messages());
  }
  const [pageOfAda, pageOfGrace] = [await ada.messages(), await grace.messages()];
  assert.deepEqual(pageOfAda.slice(-20), pageOfGrace.slice(-20));
  await ada.photograph("chat-after-kill-ada");
  await grace.photograph("chat-after-kill-grace");
  const unexpected = [ada, grace, tab].flatMap((person) => person.errors);
  assert.deepEqual(unexpected, []);
});

test("browser: a message's receipt is checked in the browser", async () => {
  const [context] = browser.contexts();
  assert.ok(context !== undefined);
  const ada = await Person.open(context, fleet.facts.page);
  await ada.live();
  await ada.say("Is this proved?");
  await ada.sees("Is this proved?");
  const row = ada.page.locator("li.message.sent", { hasText: "Is this proved?" });
  await row.hover();
  await row.getByRole("button", { name: /^[0-9]+$/ }).click();
  await row.locator(".receipt.verified").waitFor({ timeout: 15_000 });
  const sentence = (await row.locator(".receipt").getAttribute("title")) ?? "";
  assert.match(sentence, /^Checked in this browser: entry \d+ of \d+, .* cosigned by replica-/);
  const history = ada.page.locator(".bar .receipt.verified");
  await history.waitFor({ timeout: 15_000 });
  const extended = (await history.getAttribute("title")) ?? "";
  assert.match(extended, /^Checked in this browser: the signed log of \d+ records extends/);
  await ada.photograph("receipt-verified");
  assert.deepEqual(ada.errors, []);
  await ada.page.close();
});

test("browser: a code works once, and a wrong one is refused with a sentence", async () => {
  const used = fleet.facts.logins[0]?.code ?? "";
  for (const code of [used, "WRNG-CODE"]) {
    const stranger = await Person.open(await browser.newContext(), fleet.facts.page);
    await stranger.page.getByLabel("One-time code").fill(code);
    await stranger.page.getByRole("button", { name: "Enter" }).click();
    await stranger.page.locator(".problem").waitFor();
    await stranger.photograph("login-refused");
    await stranger.page.close();
  }
});

test("browser: after a reload the person is still logged in and sees the history", async () => {
  const [context] = browser.contexts();
  assert.ok(context !== undefined);
  const back = await Person.open(context, fleet.facts.page);
  await back.live();
  await back.sees(`ada ${messagesEach}`);
  assertWhole(await back.messages());
  await back.page.setViewportSize({ width: 390, height: 800 });
  await back.photograph("chat-phone");
});

test("browser: edit, reaction, deletion, a thread and a message to one person alone", async () => {
  const [adas, graces] = browser.contexts();
  assert.ok(adas !== undefined && graces !== undefined);
  const ada = await Person.open(adas, fleet.facts.page);
  const grace = await Person.open(graces, fleet.facts.page);
  await Promise.all([ada.live(), grace.live()]);
  await ada.say("Lunch at noon?");
  await grace.sees("Lunch at noon?");
  await ada.act("Lunch at noon?", "Edit");
  await ada.page.locator("#draft").fill("Lunch at one?");
  await ada.page.getByRole("button", { name: "Save" }).click();
  await grace.sees("Lunch at one? (edited)");
  await grace.act("Lunch at one?", "React +1");
  await ada.page.locator(".reactions button", { hasText: "+1 1" }).waitFor();
  await ada.say("Wrong room, sorry");
  await grace.sees("Wrong room, sorry");
  await ada.act("Wrong room, sorry", "Delete");
  await grace.sees("This message was deleted.");
  await grace.act("Lunch at one?", "Thread");
  await grace.page.locator("#thread-draft").fill("One is fine");
  await grace.page.locator("#thread-draft").press("Enter");
  await grace.page.locator(".side li.message.sent", { hasText: "One is fine" }).waitFor();
  await ada.page.locator(".reactions .thread").click();
  await ada.page.locator(".side li.message.sent", { hasText: "One is fine" }).waitFor();
  await ada.photograph("thread-and-reactions");
  await grace.page.getByRole("button", { name: "Close" }).click();
  const name = (await grace.page.locator("li.message .author").first().textContent()) ?? "";
  await grace.page.locator("li.message .author", { hasText: name }).first().click();
  await grace.page.locator("h1.direct").waitFor();
  await grace.live();
  await grace.say("Between us");
  await grace.sees("Between us");
  await grace.photograph("direct-message");
  for (const person of [ada, grace]) {
    assert.deepEqual(person.errors, []);
    await person.page.close();
  }
});
