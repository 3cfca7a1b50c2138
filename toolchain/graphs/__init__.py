"""Graph operations that quantizers, corrections and analyses share: edits, channel groups, weights, subgraphs."""
