// Goal: a page that pinned a shard's keys goes on verifying when a replica was replaced, and says
// so when none of those keys is left. Method: the README's command with --replace, Chromium.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { freePorts } from "../support/free-ports.ts";
import { LocalFleet } from "../support/local-fleet.ts";
import { launchChromium, Person } from "./chromium.ts";

let browser: Browser;

before(async () => {
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
});

test("browser: the page follows a replaced replica; if all were, the person decides", async () => {
  // The page must come back at the same address, or the browser takes it for another one.
  const [port = 0] = await freePorts(1);
  const at = ["--port", String(port)];
  let fleet = await LocalFleet.start(at);
  try {
    const ada = await Person.enter(
      await browser.newContext(),
      fleet.facts.page,
      fleet.facts.logins[0]?.code ?? "",
    );
    const mark = ada.page.locator(".bar .receipt");
    await ada.say("Before");
    await ada.page.locator(".bar .receipt.verified").waitFor({ timeout: 20_000 });
    const replace = async (replica: string) => {
      await fleet.stop({ keepData: true });
      fleet = await LocalFleet.start([...at, "--replace", replica], fleet);
      await fleet.allVote();
      await ada.page.reload();
      await ada.live();
      await ada.say(`After ${replica}`);
    };
    await replace("lobby-2");
    // Two of the first keys are left: whoever signs, one of them is there.
    await ada.receiptBy("replica-2");
    await ada.page.locator(".bar .receipt.verified").waitFor({ timeout: 30_000 });
    await replace("lobby-1");
    await replace("lobby-0");
    await ada.page.locator(".bar .receipt.refused").waitFor({ timeout: 30_000 });
    await ada.photograph("keys-changed");
    await mark.getByRole("button", { name: "Trust its new keys" }).click();
    await ada.page.locator(".bar .receipt.verified").waitFor({ timeout: 15_000 });
    await ada.receiptBy("replica-");
  } finally {
    assert.equal(await fleet.stop(), 0);
  }
});
