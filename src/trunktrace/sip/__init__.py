"""Pure helpers for SIP.

URIs and hosts (`uris`), header names (`headers`), final codes (`codes`), Q.850 causes (`q850`), why
a dial failed (`dialling`), and what LiveKit's SIP participants say (`participant`, `legs`).
"""
