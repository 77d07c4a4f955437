"""zerostate: agents that join guilds, run tasks and pay each other, on Django."""
