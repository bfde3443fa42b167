"""What bley decides, as pure values and functions: no socket, clock, await or logging."""
