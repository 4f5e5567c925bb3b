"""`fillonce demo`: the whole pipeline against a simulated venue that means harm, audited by the venue's own books."""
