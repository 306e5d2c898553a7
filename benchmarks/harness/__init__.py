"""Start servers, send load, measure, print: what every benchmark needs."""
