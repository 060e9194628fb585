/** Random operations by four clients, and after each of them the server compared with the model. */
import { isPogoError } from "#core/errors.ts";
import { verifyOperations } from "#client/operations.ts";
import { toHex } from "#core/hash.ts";
import type { Engine } from "../support/postgres.ts";
import { randomFrom } from "../support/random-files.ts";
import { compare } from "./comparison.ts";
import { drawPush, move } from "./copy.ts";
import { fetchSnapshot, observe, openSnapshots, verifyObjects } from "./observed.ts";
import { Refusal } from "./refusal.ts";
import { Repository, foreseen } from "./repository.ts";
import * as requests from "./requests.ts";
import type { Action, Context } from "./requests.ts";
import { openWorld, type Answer, type Client, type World } from "./world.ts";

export type Run = {
  engine: Engine;
  seed: number;
  operations: number;
  restores: number;
  /** With more visible changes than this, some are removed. */
  visibleMax: number;
};

const shownCount = 10;

/** Makes a run; throws at the first difference. */
export async function runModel(run: Run): Promise<string> {
  const { engine, seed, operations, restores, visibleMax } = run;
  const random = randomFrom(seed);
  Object.assign(foreseen, { merges: 0, crissCross: 0, values: 0, unknownValues: 0 });
  await using world = await openWorld(engine, random);
  const model = new Repository();
  // The repository's creation.
  model.apply(model.begin("create-repository"), "root");
  const snapshots = openSnapshots();
  const read: Context["read"] = async ({ remote }, version) => {
    return await snapshots.read(remote, Uint8Array.fromHex(version.root!));
  };
  const context: Context = { random, model, read };
  const tally = new Map<string, number>();
  const done: string[] = [];
  const startedMs = performance.now();

  const explain = (differences: string[]): Error => {
    const last = done.slice(-shownCount).join("\n  ");
    const text = differences.slice(0, 40).join("\n  ");
    const where = `seed ${seed}, ${engine}, after ${done.length} operations`;
    return new Error(`${where}:\n  ${last}\n\n  ${text}\n${world.complaints()}`);
  };
  const perform = async (client: Client, action: Action): Promise<void> => {
    const result = await step(world, model, client, action);
    const line = `${model.operations.length}: ${client.index} ${action.label}: ${result.said}`;
    done.push(line);
    const verb = `${action.label.split(" ")[0]}: ${result.said.replace(/\d+|,.*| after.*/g, "")}`;
    tally.set(verb, (tally.get(verb) ?? 0) + 1);
    if (result.differences.length > 0) throw explain(result.differences);
    const observed = await observe(client.remote);
    const differences = await compare(model, observed, client, snapshots);
    if (differences.length > 0) throw explain(differences);
  };

  for (let count = 0; count < operations; count++) {
    const client = random.pick(world.clients);
    if (client.workspace && model.visible.size > 0 && random.next(3) === 0) {
      const wrong = await move(world, context, client);
      done.push(`- ${client.index} edit`);
      if (wrong.length > 0) throw explain(wrong);
    } else if (model.visible.size > 0 && random.next(4) === 0 && !client.workspace) {
      client.at = requests.randomVersion(random, model);
    }
    await perform(client, await draw(context, client, visibleMax));
    if ((count + 1) % 500 === 0) {
      const seconds = (performance.now() - startedMs) / 1000;
      console.log(`${engine}: ${count + 1} operations, ${seconds.toFixed(0)} s`);
    }
  }
  const midMs = performance.now();
  for (let count = 0; count < restores; count++) {
    const number = 1 + random.next(model.operations.length);
    const client = random.pick(world.clients);
    await perform(client, requests.restoreTo(context, number));
    const wrong = await compareWhole(context, client, number);
    if (wrong.length > 0) throw explain(wrong);
  }
  const [client] = world.clients;
  const { state } = world.clients.at(-1)!.workspace!;
  const { number } = await verifyOperations(client!.remote, state);
  if (number !== model.operations.length) throw explain([`the chain ends with ${number}`]);
  if (world.complaints() !== "") throw explain(["the server complained"]);
  return summary(world, tally, [midMs - startedMs, performance.now() - midMs]);
}

/** Makes a request and applies to the model what it comes to. */
async function step(
  world: World,
  model: Repository,
  client: Client,
  { ask, foresee, outcomeOf, mayRefuse, check, learn }: Action,
): Promise<{ said: string; differences: string[] }> {
  const answer = await world.ask(client, ask);
  const value = "value" in answer ? answer.value : undefined;
  const foresight = attempt(() => foresee(value));
  const told = (one: Answer<unknown>) => {
    return "refused" in one ? one.refused : (outcomeOf?.(one.value) ?? "done");
  };
  if (answer.heard && told(answer.heard) !== told(answer)) {
    return { said: told(answer), differences: [`answered before: ${told(answer.heard)}`] };
  }
  if ("refused" in answer) {
    const said = `refused, ${answer.refused}: ${answer.message}`;
    if (foresight instanceof Refusal) {
      const isSame = foresight.code === answer.refused;
      const expected = `the model refuses with ${foresight.code}: ${foresight.message}`;
      return { said, differences: isSame ? [] : [expected] };
    }
    // Of a value that is not foreseen the model does not know how many sides it has.
    const isTooMany = answer.message.includes("would be in conflict with");
    if (isTooMany) return { said: "refused for its sides, not foreseen", differences: [] };
    const isLast = foresight.step?.reverses === model.operations.length;
    const mayBe = mayRefuse === answer.refused && !isLast;
    return { said, differences: mayBe ? [] : ["the model does not refuse it"] };
  }
  const again = answer.again ? " after it was sent again" : "";
  if (foresight instanceof Refusal) {
    const { code, message } = foresight;
    return { said: `done${again}`, differences: [`the model refuses with ${code}: ${message}`] };
  }
  const wrong = answer.again ? [] : (check?.(value) ?? []);
  if (wrong.length > 0) return { said: "done", differences: wrong };
  if (foresight.step) model.apply(foresight.step, client.user);
  learn?.(foresight.step, value);
  const outcome = outcomeOf?.(value) ?? "done";
  const said = `${foresight.step ? outcome : `${outcome}, nothing`}${again}`;
  const isAsForeseen = foresight.outcome === undefined || foresight.outcome === outcome;
  return { said, differences: isAsForeseen ? [] : [`the model says ${foresight.outcome}`] };
}

function attempt<T>(foresee: () => T): T | Refusal {
  try {
    return foresee();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

/** Chooses what a client does next. */
async function draw(context: Context, client: Client, visibleMax: number): Promise<Action> {
  const { random, model } = context;
  const isKnown = client.at !== undefined;
  if (model.visible.size < 3) return await drawNew(context, client);
  if (model.visible.size > visibleMax) {
    const isSquashed = random.next(2) === 0;
    return (isSquashed ? requests.drawSquash : requests.drawRemove)(context, client);
  }
  const { kind, user } = model.operations.at(-1)!;
  const isOwnUndo = kind === "undo" && user === client.user;
  if (isOwnUndo && random.next(2) === 0) return requests.drawRedo(context, client);
  const roll = random.next(1000);
  if (roll < 240 && client.workspace) return await drawPush(context, client);
  if (roll < 240) return await requests.drawCommit(context, client, !isKnown);
  if (roll < 340) return await drawNew(context, client);
  if (roll < 430) return requests.drawMerge(context, client);
  if (roll < 560) return requests.drawSync(context, client);
  if (roll < 660) return requests.drawRebase(context, client);
  if (roll < 750) return requests.drawSquash(context, client);
  if (roll < 790) return requests.drawRemove(context, client);
  if (roll < 830) return requests.drawDescribe(context, client);
  if (roll < 880) return requests.drawBookmark(context);
  if (roll < 960) return requests.drawUndo(context, client);
  if (roll < 970) return requests.drawRedo(context, client);
  if (roll < 994) return requests.drawRevert(context, client);
  const { length } = model.operations;
  return requests.restoreTo(context, Math.max(1, length - random.next(30)));
}

async function drawNew(context: Context, client: Client): Promise<Action> {
  if (client.workspace) return await drawPush(context, client);
  return await requests.drawCommit(context, client, true);
}

/** After a restore: every tree and object fetched anew, and what must be hidden looked at. */
async function compareWhole(
  { model, random }: Context,
  { remote }: Client,
  number: number,
): Promise<string[]> {
  const wrong: string[] = [];
  const then = model.statesAfter(number);
  const snapshots = [];
  for (const name of model.visible) {
    const { at } = model.change(name);
    const place = then.changes.get(name);
    if (place?.version !== at.number || place.hidden) wrong.push(`${name} was elsewhere`);
    const change = await remote.getChange(name);
    if (toHex(change.tree) !== at.root) wrong.push(`${name} has another tree`);
    snapshots.push(await fetchSnapshot(remote, change.tree));
  }
  const shown = [...then.changes].filter(([, { hidden }]) => !hidden);
  if (shown.length !== model.visible.size) wrong.push(`${shown.length} changes were visible then`);
  await verifyObjects(remote, snapshots);
  const hidden = [...model.changes.values()].filter((change) => change.hidden);
  for (let count = 0; count < Math.min(20, hidden.length); count++) {
    const { name, at } = random.pick(hidden);
    const change = await remote.getChange(`${name}@1`);
    const isSame = change.hidden && change.currentVersion === at.number;
    if (!isSame) wrong.push(`${name}: hidden ${change.hidden}, at ${change.currentVersion}`);
    const refused = await remote.getChange(name).then(
      () => false,
      (error) => isPogoError(error, "not-found"),
    );
    if (!refused) wrong.push(`${name} is not hidden`);
  }
  return wrong;
}

function summary({ counts }: World, tally: Map<string, number>, [ms, restoreMs]: number[]): string {
  const { kills, cuts, lostAnswers } = counts;
  const { merges, crissCross, values, unknownValues } = foreseen;
  const verbs = [...tally].sort().map(([verb, count]) => `${verb} ${count}`);
  return [
    `${(ms! / 1000).toFixed(1)} s, restores ${(restoreMs! / 1000).toFixed(1)} s`,
    `${kills} kills, ${cuts} cuts, ${lostAnswers} answers lost`,
    `${merges} merges foreseen, ${crissCross} criss-cross, ${unknownValues} of ${values} values not foreseen`,
    ...verbs,
  ].join("\n  ");
}
