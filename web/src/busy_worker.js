/* Computes for ever; whoever started it ends it. */

for (let i = 0; ; i++) Math.sqrt(i);
