const socket = new URL("/graphql", window.location.href);
socket.protocol = socket.protocol.replace("http", "ws");

Explorer.createRoot(document.getElementById("graphiql")).render(
  Explorer.createElement(Explorer.GraphiQL, {
    fetcher: Explorer.createGraphiQLFetcher({ url: "/graphql", subscriptionUrl: socket.href }),
    defaultTabs: examples,
    shouldPersistHeaders: false,
  }),
);
