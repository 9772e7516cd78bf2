"""The pytest plugin: recipe rows as tests, which gates or a baseline may fail, and a fixture for tests of users."""
