import ts from "typescript";
import { lineOf, parse, walk } from "./source.ts";

/** What `Math` may be used for in a pure room: exact on every engine. */
const mathAllowed = new Set([
  "abs",
  "ceil",
  "clz32",
  "floor",
  "fround",
  "imul",
  "max",
  "min",
  "round",
  "sign",
  "trunc",
]);

const globalsBanned = new Set([
  "Date",
  "Promise",
  "globalThis",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "performance",
  "Intl",
  "WeakRef",
  "FinalizationRegistry",
  "crypto",
  "console",
  "process",
]);

const methodsBanned = new Set([
  "localeCompare",
  "toLocaleString",
  "toLocaleLowerCase",
  "toLocaleUpperCase",
  "normalize",
]);

/** Sentences that name what a pure room may not do; empty when the text is clean. */
export function purityFaults(path: string, text: string): readonly string[] {
  const faults: string[] = [];
  const file = parse(path, text);
  walk(file, (node) => {
    const what = purityFault(node);
    if (what !== undefined) faults.push(`${path}:${lineOf(file, node.getStart(file))}: ${what}`);
  });
  return faults;
}

function purityFault(node: ts.Node): string | undefined {
  if (ts.isAwaitExpression(node)) return "await";
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return "async";
  if (ts.isPropertyAccessExpression(node) && methodsBanned.has(node.name.text)) {
    return node.name.text;
  }
  if (!ts.isIdentifier(node) || isDeclaredName(node)) return undefined;
  if (globalsBanned.has(node.text)) return node.text;
  if (node.text !== "Math") return undefined;
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent) && mathAllowed.has(parent.name.text)) return undefined;
  return "Math other than its exact integer functions";
}

function isDeclaredName(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent)) return false;
  return (
    (ts.isPropertyAssignment(parent) ||
      ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isMethodDeclaration(parent) ||
      ts.isMethodSignature(parent)) &&
    parent.name === node
  );
}

/** Sentences for what no file of ours may contain; empty when the text is clean. */
export function houseFaults(path: string, text: string): readonly string[] {
  const faults: string[] = [];
  const file = parse(path, text);
  walk(file, (node) => {
    const what = houseFault(node);
    if (what !== undefined) faults.push(`${path}:${lineOf(file, node.getStart(file))}: ${what}`);
  });
  const markers = /\b(TODO|FIXME|XXX|HACK)\b|@ts-ignore|@ts-expect-error|@ts-nocheck/g;
  for (const match of text.matchAll(markers)) {
    faults.push(`${path}:${lineOf(file, match.index)}: ${match[0]}`);
  }
  return faults;
}

function houseFault(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return "any";
  if (ts.isNonNullExpression(node)) return "non-null assertion";
  if (ts.isExportAssignment(node)) return "default export";
  if (node.kind === ts.SyntaxKind.DefaultKeyword && ts.isFunctionLike(node.parent)) {
    return "default export";
  }
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const target = node.expression.expression;
    const skips = new Set(["skip", "todo", "only"]);
    if (
      ts.isIdentifier(target) &&
      ["test", "it", "describe", "suite"].includes(target.text) &&
      skips.has(node.expression.name.text)
    ) {
      return `${target.text}.${node.expression.name.text}`;
    }
  }
  return undefined;
}
