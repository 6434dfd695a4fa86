"""The demo: a home of simulated MQTT devices, a broker and a terminal view, so that everything can be tried without any hardware."""
