import ts from "typescript";
import { lineOf, parse, walk } from "./source.ts";

/** Lines of a function, signature included, at most. */
export const functionLinesMax = 70;
/** Characters of a line at most. */
export const lineColumnsMax = 100;
/** Lines of a file at most. */
export const fileLinesMax = 500;

function isFunction(node: ts.Node): boolean {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isFunctionExpression(node) ||
    ts.isArrowFunction(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node) ||
    ts.isAccessor(node)
  );
}

function isSuite(node: ts.Node): boolean {
  const call = node.parent;
  if (!ts.isCallExpression(call) || !ts.isIdentifier(call.expression)) return false;
  return call.expression.text === "describe";
}

/** Sentences that name what is too large in a file; empty when nothing is. */
export function sizeFaults(path: string, text: string): readonly string[] {
  const faults: string[] = [];
  const lines = text.split("\n");
  if (lines.length - 1 > fileLinesMax) faults.push(`${path}: ${lines.length - 1} lines`);
  for (const [index, line] of lines.entries()) {
    const width = [...line].length;
    if (width > lineColumnsMax && !/^\s*(\/\/|\*|"|import ).*https?:/.test(line)) {
      faults.push(`${path}:${index + 1}: ${width} columns`);
    }
  }
  const file = parse(path, text);
  walk(file, (node) => {
    if (!isFunction(node) || isSuite(node)) return;
    const first = lineOf(file, node.getStart(file));
    const count = lineOf(file, node.end) - first + 1;
    if (count > functionLinesMax) faults.push(`${path}:${first}: function of ${count} lines`);
  });
  return faults;
}
