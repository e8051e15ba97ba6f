import { frontSuite } from "./front_suite.ts";

frontSuite("fast");
