// What the explorer's page needs of npm's packages, as one script; the workers of its editors are scripts of their own.
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const here = document.currentScript.src;
const workers = { graphql: "graphql.worker.js", json: "json.worker.js" };

globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(new URL(workers[label] ?? "editor.worker.js", here)),
};
globalThis.Explorer = { GraphiQL, createElement, createGraphiQLFetcher, createRoot };
