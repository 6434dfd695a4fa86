"""What can be asked for beyond the house: calls, messages, routes, translations and searches, each switched on by configuration."""

SERVICES = (
    "phone.call",
    "phone.message",
    "navigation.route",
    "navigation.query",
    "translate.text",
    "search.weather",
    "search.restaurant",
)
"""The services, in the order in which they are documented."""

SERVICE_OF_PROPERTY = {
    "call": "phone.call",
    "message": "phone.message",
    "route": "navigation.route",
    "navigation": "navigation.query",
    "translate": "translate.text",
    "restaurant": "search.restaurant",
}
"""What a clause that is handed over asks for, by its property; `weather` is Home Assistant's own unless it is searched for."""

WEATHER = "search.weather"
"""Searched for when it is switched on and the home's own weather cannot answer."""
